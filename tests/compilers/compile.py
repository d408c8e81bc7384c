# SPDX-License-Identifier: MIT
"""Compiling one program for a GPU that is not here, and what the compiler says each kernel takes."""
import pathlib
import re
import shlex
import shutil
import struct
import subprocess

FIELDS = ("registers", "width", "spills", "local", "scratch")

# native_exp and its like end clang-15 for NVIDIA; no driver's compiler is asked here how fast they are.
NATIVE = ["-Dnative_%s=%s" % (name, name) for name in ("exp", "exp2", "exp10", "log", "log2", "recip", "rsqrt", "sqrt")]

# clang-15 knows no newer NVIDIA GPU; ptxas makes code for any from this.
NEWEST = "sm_80"

# Before instructions that no compiler but ptxas knows (src/opencl/retarget.h).
HIDDEN = "//@"

# Registers of a kernel that ends before its first instruction, or that hides none and is small (chunk_scan).
FEW = 64

DEVICE_LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu/amdgcn/bitcode")
# Newer GPUs than rocm-device-libs knows, and the ones they stand closest to: those files say no more than which instructions there are.
NEWER = {"942": "940", "1100": "1030"}


class Refused(Exception):
    """A compiler did not take a program; the text is what it printed."""


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        raise Refused("%s\n%s" % (shlex.join(command), done.stdout[-4000:]))
    return done.stdout


def section(path, wanted):
    """A section of a 64-bit ELF file, as text."""
    data = path.read_bytes()
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]
    for header in headers:
        start = headers[names][4] + header[0]
        if data[start : data.index(b"\0", start)] == wanted:
            return data[header[4] : header[4] + header[5]].decode()
    raise Refused("%s has no section %s" % (path, wanted.decode()))


def number(pattern, text, missing=None):
    found = re.search(pattern, text)
    if found:
        return int(found.group(1))
    if missing is None:
        raise Refused("no %s in:\n%s" % (pattern, text[:2000]))
    return missing


def intel(target, source, options, work):
    """Spills are instructions, as IGC counts them; scratch is bytes a thread of `width` work-items."""
    said = run(["ocloc", "compile", "-file", str(source), "-device", target, "--format", "zebin", "-out_dir", str(work), "-options",
                options])
    (binary,) = work.glob("*.bin")
    info = section(binary, b".ze_info").split("kernels_misc_info:")[0]
    kernels = {}
    for part in re.split(r"\n  - name: +", info)[1:]:
        name = part.split(None, 1)[0]
        buffers = re.findall(r"- type: +scratch\n(?: +usage: .*\n)? +size: +(\d+)", part)
        kernels[name] = (
            number(r"grf_count: +(\d+)", part),
            number(r"simd_size: +(\d+)", part),
            number(r"kernel %s +compiled SIMD\d+ allocated \d+ regs and spilled around (\d+)" % re.escape(name), said, 0),
            number(r"slm_size: +(\d+)", part, 0),
            sum(int(size) for size in buffers),
        )
    return kernels


def device_libraries(work):
    """rocm-device-libs with the names that clang asks for."""
    folder = work / "device-libraries"
    folder.mkdir()
    for file in DEVICE_LIBRARIES.glob("*.bc"):
        (folder / file.name).symlink_to(file)
    for newer, known in NEWER.items():
        link = folder / ("oclc_isa_version_%s.bc" % newer)
        if not link.exists():
            link.symlink_to(DEVICE_LIBRARIES / ("oclc_isa_version_%s.bc" % known))
    return folder


def amd(target, source, options, work):
    """Spills of vector registers; scratch is bytes a work-item."""
    output = work / "kernels.s"
    run(["clang-19", "-x", "cl", "-target", "amdgcn-amd-amdhsa", "-mcpu=" + target, "-Werror",
         "--rocm-device-lib-path=%s" % device_libraries(work), "-Xclang", "-finclude-default-header", "-O3", "-S", "-o", str(output)]
        + shlex.split(options) + [str(source)])
    metadata = output.read_text().split("amdhsa.kernels:")[1]
    kernels = {}
    for part in re.split(r"\n  - ", metadata)[1:]:
        name = re.search(r"\n    \.name: +(\w+)", part)
        if not name:
            continue
        kernels[name.group(1)] = tuple(
            number(r"\.%s: +(\d+)" % field, part)
            for field in ("vgpr_count", "wavefront_size", "vgpr_spill_count", "group_segment_fixed_size", "private_segment_fixed_size")
        )
    return kernels


def ptxas():
    return shutil.which("ptxas") or shutil.which("/usr/local/cuda/bin/ptxas")


def assemble(target, source):
    """
    What ptxas says. It refuses more than 48 KiB of static local memory a kernel, which NVIDIA's OpenCL takes; it has figured everything
    out by then, so a refusal for that alone is none.
    """
    command = [ptxas(), "-arch=" + target, "-v", "-o", "/dev/null", str(source)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    errors = [line for line in done.stdout.splitlines() if line.startswith(("ptxas error", "ptxas fatal", "ptxas /"))]
    if done.returncode != 0 and not (errors and all("uses too much shared data" in line for line in errors)):
        raise Refused("%s\n%s" % (shlex.join(command), done.stdout[-4000:]))
    refuse_serialized(done.stdout)
    return done.stdout


def refuse_serialized(said):
    """ptxas may have products of matrix units wait for each other, which costs half the speed, and only mentions it."""
    found = [line for line in said.splitlines() if "instructions are serialized" in line]
    if found:
        raise Refused("\n".join(found))


def refuse_twice(said):
    """Before instructions are shown, there is to be nothing to assemble: it only takes time."""
    most = max(int(count) for count in re.findall(r"Used (\d+) registers", said))
    if most > FEW:
        raise Refused("a kernel takes %d registers before its hidden instructions are shown: it is assembled twice" % most)


def set_target(ptx, target):
    """And the version that it needs, which the driver's PTX has."""
    ptx = re.sub(r"^\.target sm_\d+", ".target " + target, ptx, count=1, flags=re.MULTILINE)
    return re.sub(r"^\.version .*", ".version 8.0", ptx, count=1, flags=re.MULTILINE)


def show(ptx):
    """What src/opencl/retarget.c does to the driver's PTX."""
    return set_target(ptx, "sm_90a").replace(HIDDEN, "")


def nvidia(target, source, options, work):
    """Spills are bytes stored; scratch is the stack frame of a work-item. Without CUDA: whether it compiles, and no figures."""
    output = work / "kernels.ptx"
    hides = HIDDEN in source.read_text()
    # NVIDIA's compiler makes one function of such a kernel, as products must not cross the boundaries of functions.
    inline = ["-mllvm", "-inline-threshold=1000000"] if hides else []
    run(["clang-15", "-x", "cl", "-target", "nvptx64--nvidiacl", "-Xclang", "-target-cpu", "-Xclang", NEWEST, "-nogpulib", "-Werror",
         "-Xclang", "-finclude-default-header", "-Xclang", "-mlink-builtin-bitcode", "-Xclang", "/usr/lib/clc/nvptx64--nvidiacl.bc",
         "-O3", "-S", "-o", str(output)] + inline + NATIVE + shlex.split(options) + [str(source)])
    if not ptxas():
        return {}
    if hides:
        ptx = output.read_text()
        output.write_text(set_target(ptx, target))
        refuse_twice(assemble(target, output))
        output.write_text(show(ptx))
        target = "sm_90a"
    said = assemble(target, output)
    kernels = {}
    for part in said.split("Compiling entry function '")[1:]:
        kernels[part.split("'", 1)[0]] = (
            number(r"Used (\d+) registers", part),
            32,
            number(r"(\d+) bytes spill stores", part),
            number(r"(\d+) bytes smem", part, 0),
            number(r"(\d+) bytes stack frame", part),
        )
    return kernels


def compile_for(target, source, options, work):
    """{kernel: figures in the order of FIELDS}."""
    return {"Intel": intel, "AMD": amd, "NVIDIA": nvidia}[vendor_of(target)](target, source, options, work)


def vendor_of(target):
    return "NVIDIA" if target.startswith("sm_") else "AMD" if target.startswith("gfx") else "Intel"


def intel_version():
    return "ocloc %s, igc %s" % tuple(
        run(["dpkg-query", "-W", "-f", "${Version}", package]) for package in ("intel-opencl-icd", "libigc1"))


def amd_version():
    return run(["clang-19", "--version"]).splitlines()[0]


def nvidia_version():
    assembler = run([ptxas(), "--version"]).split("release ")[1].split(",")[0] if ptxas() else "none"
    return "%s, ptxas %s" % (run(["clang-15", "--version"]).splitlines()[0], assembler)


def version(vendor):
    """Of its compiler, for the head of the table and for what has been compiled before."""
    return {"Intel": intel_version, "AMD": amd_version, "NVIDIA": nvidia_version}[vendor]()
