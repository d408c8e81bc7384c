"""PTX with big static shared arrays -> dynamic shared memory. conv.py in.ptx out.ptx; prints bytes per kernel prefix."""
import re, sys, glob, os
entry, mma = sys.argv[3], sys.argv[4] == 'mma'
def extract(folder):
    for f in glob.glob(folder + '/**/*', recursive=True):
        if not os.path.isfile(f): continue
        b = open(f, 'rb').read()
        if (b'mma.sync' in b) == mma and b'.entry ' + entry.encode() + b'(' in b:
            i = b.find(b'.version'); 
            return b[i:].rstrip(b'\0').decode('latin1')
    raise SystemExit('no program in ' + folder)
src, out = sys.argv[1], sys.argv[2]
s = extract(src) if os.path.isdir(src) else open(src).read()
s = s[s.find('.version'):]
offs, tops = {}, {}
def decl(m):
    align, name, size = int(m.group(1)), m.group(2), int(m.group(3))
    kern = entry if entry in name else 'other'
    at = (tops.get(kern, 0) + 1023) // 1024 * 1024
    offs[name] = at; tops[kern] = at + size
    return ''
s = re.sub(r'\.shared \.align (\d+) \.b8 ([\w$.]+)\[(\d+)\];', decl, s)
def use(m):
    return 'dyn+%d' % (offs[m.group(1)] + int(m.group(2) or 0))
names = '|'.join(sorted(map(re.escape, offs), key=len, reverse=True))
s = re.sub(r'(?<![\w$.])(' + names + r')(?![\w$.])(?:\+(\d+))?', use, s)
s = re.sub(r'(\.address_size 64[^\n]*\n)', r'\1.extern .shared .align 1024 .b8 dyn[];\n', s, count=1)
s = re.sub(r'%envreg\d+', '0', s)
s = re.sub(r'(\.entry ' + entry + r'\([^{]*?\))(\s*)\{', lambda m: m.group(1) + ('' if 'ntid' in m.group(1) else '\n.reqntid %s, 1, 1\n' % sys.argv[5]) + '{', s, flags=re.S)
open(out, 'w').write(s)
print(tops.get(entry, 0))
