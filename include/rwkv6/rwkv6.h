/* SPDX-License-Identifier: MIT */
/**
 * rwkv6cl: RWKV-6 ("Finch") linear attention, forward and backward, on any OpenCL device and on the CPU.
 *
 * For every sequence and head, with a state S of key_dim x value_dim:
 *
 *     o_t = scale * r_t^T (S_{t-1} + diag(u) k_t v_t^T)
 *     S_t = diag(decay_t) S_{t-1} + k_t v_t^T
 *
 * Four things: a *device* (shared by threads), a *problem* (a plain struct: shapes, dtypes, options), a *plan* (device +
 * problem + operation + mode, used by one thread at a time) and *run*.
 *
 * Conventions that hold for every call:
 *  - Shapes are written [slowest, ..., fastest]. Sizes, offsets and strides count elements, never bytes.
 *  - A function that can fail returns a status and takes a caller-owned rwkv6_error (or NULL) whose text names the argument,
 *    the value it had and what is allowed. When a call is refused, nothing that the caller handed in has been written.
 *    (rwkv6_run can also fail halfway, when a device is lost: the outputs are then undefined, the status says so.)
 *  - No function prints, exits or aborts. There is no global state but the table of OpenCL functions, filled once.
 *  - Every struct starts with its own size, set by its init function or macro, so that structs can grow without breaking
 *    programs built against an older header; but for two small ones inside them, which are frozen: rwkv6_stride and
 *    rwkv6_opencl_tensor.
 *  - Handles are opaque. A destroy function takes the address of the handle, sets it to NULL, and ignores NULL.
 */
#ifndef RWKV6_RWKV6_H
#define RWKV6_RWKV6_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(RWKV6_SHARED)
#ifdef RWKV6_BUILDING
#define RWKV6_API __declspec(dllexport)
#else
#define RWKV6_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define RWKV6_API __attribute__((visibility("default")))
#else
#define RWKV6_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------- version, status, error */

#define RWKV6_VERSION_MAJOR 0
#define RWKV6_VERSION_MINOR 1
#define RWKV6_VERSION_PATCH 0

/** "major.minor.patch" of the library that is loaded (the macros tell which header was compiled against). Static string. */
RWKV6_API const char *rwkv6_version(void);

typedef enum rwkv6_status {
  RWKV6_OK = 0,
  RWKV6_INVALID_ARGUMENT = 1,     /**< an argument or a field is out of its range, missing, or contradicts another */
  RWKV6_UNSUPPORTED = 2,          /**< a legal request that no kernel variant of this device takes; the text lists why */
  RWKV6_NO_DEVICE = 3,            /**< no such device, or no OpenCL on this machine */
  RWKV6_OUT_OF_MEMORY = 4,        /**< host memory; the text has the size asked for, or the OpenCL call that found none */
  RWKV6_OUT_OF_DEVICE_MEMORY = 5, /**< device memory; the text has the size asked for and what the device allows, or the
                                       OpenCL call that found none (of small things, and of what the caller enqueues) */
  RWKV6_BUILD_FAILED = 6,         /**< a kernel did not compile; the text starts with the compiler's first lines */
  RWKV6_DEVICE_ERROR = 7          /**< an OpenCL call failed; the text has its name and the name of the error */
} rwkv6_status;

/** "RWKV6_OK", "RWKV6_INVALID_ARGUMENT", ...; "unknown status" for any other value. Static string. */
RWKV6_API const char *rwkv6_status_name(rwkv6_status status);

/** Where a call writes what went wrong. Owned by the caller, one per thread. Untouched by a call that succeeds. */
typedef struct rwkv6_error {
  size_t size;          /**< sizeof(rwkv6_error), set by RWKV6_ERROR_INIT */
  rwkv6_status status;  /**< what the call returned */
  int32_t opencl_error; /**< the cl_int of the OpenCL call that failed, else 0 */
  char message[2032];   /**< one or more lines, always terminated */
} rwkv6_error;

/** `rwkv6_error error = RWKV6_ERROR_INIT;` */
#define RWKV6_ERROR_INIT                                                                                                       \
  { sizeof(rwkv6_error), RWKV6_OK, 0, "" }

typedef enum rwkv6_log_level { RWKV6_LOG_WARNING = 0, RWKV6_LOG_INFO = 1, RWKV6_LOG_DEBUG = 2 } rwkv6_log_level;

/**
 * Receives one line (no newline at its end). Called on the thread that made the library call, possibly on several at once;
 * must not call the library. `user` is what the device options carried.
 */
typedef void (*rwkv6_log_callback)(void *user, rwkv6_log_level level, const char *message);

/* -------------------------------------------------------------------------------------------------------------- devices */

/**
 * A device: the scalar CPU path, or one OpenCL device with a context and its compiled programs. May be used by any number of
 * threads at once. Plans keep the device alive, so it may be closed while plans made from it exist.
 */
typedef struct rwkv6_device rwkv6_device;

typedef enum rwkv6_device_kind {
  RWKV6_KIND_CPU = 0, /**< this library's C code; needs no OpenCL and always exists */
  RWKV6_KIND_OPENCL_GPU = 1,
  RWKV6_KIND_OPENCL_CPU = 2,        /**< an OpenCL implementation that runs on the CPU */
  RWKV6_KIND_OPENCL_ACCELERATOR = 3 /**< accelerators and custom devices */
} rwkv6_device_kind;

/** What a device is and can do. Texts are cut to their field and always terminated. Memory in bytes. */
typedef struct rwkv6_device_info {
  size_t size; /**< set by the caller: sizeof(rwkv6_device_info) */
  rwkv6_device_kind kind;
  char id[32];    /**< the string that opens it: "cpu", "opencl:0", "opencl:1", ...; "wrapped": rwkv6/opencl.h */
  char name[256]; /**< as the driver reports it; "cpu" for the CPU path */
  char vendor[128];
  char platform[128]; /**< name of the OpenCL platform; "" for the CPU path */
  char driver_version[128];
  char device_version[128]; /**< "OpenCL 3.0 ..." */
  int32_t opencl_version;   /**< what the *platform* implements, 100 * major + 10 * minor: 120, 300; 0 for the CPU path */
  int32_t vendor_id;        /**< CL_DEVICE_VENDOR_ID */
  int32_t compute_units;
  int32_t clock_mhz;       /**< 0 if unknown */
  uint64_t global_memory;  /**< 0 if unknown */
  uint64_t max_allocation; /**< largest single buffer */
  uint64_t local_memory;   /**< per work-group */
  uint64_t max_work_group; /**< work-items; the limit of a built kernel can be lower and is obeyed */
  int32_t has_fp16;        /**< arithmetic in half (no kernel needs it: 16-bit storage is converted by hand) */
  int32_t has_fp64;
  int32_t has_subgroups;
  int32_t has_fp32_denormals;
  int32_t little_endian;
} rwkv6_device_info;

/** `rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;` */
#define RWKV6_DEVICE_INFO_INIT                                                                                                 \
  { sizeof(rwkv6_device_info), RWKV6_KIND_CPU, "", "", "", "", "", "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

typedef struct rwkv6_device_options {
  size_t size;            /**< sizeof(rwkv6_device_options) */
  rwkv6_log_callback log; /**< NULL: silent */
  void *log_user;         /**< handed to `log` as it is */
  const char *cache_dir;  /**< folder of the program cache, copied; "" or "off": keep nothing on disk. NULL: the environment
                               variable RWKV6_CACHE_DIR (same values) if it is set, else rwkv6cl in the user's folder for
                               caches ($XDG_CACHE_HOME, else $HOME/.cache; %LOCALAPPDATA%) */
} rwkv6_device_options;

/** `rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;` */
#define RWKV6_DEVICE_OPTIONS_INIT                                                                                              \
  { sizeof(rwkv6_device_options), NULL, NULL, NULL }

/**
 * Loads the OpenCL library from `path` (a path, or a name for the system's search) instead of from where the system keeps it.
 * Use it before the first call that needs OpenCL: listing or opening devices, rwkv6_opencl_available. Once a library is in use
 * it stays for the life of the process.
 *
 * Blocks while the library loads. Any thread. Errors: INVALID_ARGUMENT (path NULL or empty, or a library is in use already),
 * NO_DEVICE (it cannot be opened, or lacks a function that is used; the text says which). After NO_DEVICE another can be tried;
 * the system's own is then not looked for.
 */
RWKV6_API rwkv6_status rwkv6_opencl_load_library(const char *path, rwkv6_error *error);

/** Any function; cast to the type it has before it is called. */
typedef void (*rwkv6_opencl_function)(void);

/** The OpenCL function of that name ("clGetPlatformIDs"), NULL if there is none. Must not call this library. */
typedef rwkv6_opencl_function (*rwkv6_opencl_lookup)(void *user, const char *name);

/**
 * The same with a function that looks symbols up, for programs that have OpenCL linked in or open it in their own way. `lookup`
 * is called during this call only, once for each function that is used, with `user` as it is. clEnqueueReadBufferRect,
 * clGetEventProfilingInfo and clRetainEvent may be missing: only `rwkv6 bench` calls them.
 *
 * Any thread. Errors: as above.
 */
RWKV6_API rwkv6_status rwkv6_opencl_load_symbols(rwkv6_opencl_lookup lookup, void *user, rwkv6_error *error);

/**
 * Whether OpenCL can be used in this process: RWKV6_OK, or RWKV6_NO_DEVICE with the reason in `error` (library not found,
 * built without OpenCL, no platform). The first call of this or of any other device function loads the OpenCL library and
 * may block for as long as its drivers take to start. Any thread.
 */
RWKV6_API rwkv6_status rwkv6_opencl_available(rwkv6_error *error);

/**
 * Lists all devices. The first is always the CPU path; OpenCL devices follow in the order of platforms and devices that the
 * loader reports, which is the N of "opencl:N". A machine without OpenCL is not an error: the list then has one entry.
 *
 * @param infos    [capacity]; the caller sets `size` of each entry. NULL with capacity 0: only count.
 * @param capacity entries in `infos`; further devices are counted but not written
 * @param count    receives the number of devices; must not be NULL
 *
 * Blocks while drivers start. Any thread. Errors: INVALID_ARGUMENT.
 */
RWKV6_API rwkv6_status rwkv6_device_list(rwkv6_device_info *infos, size_t capacity, size_t *count, rwkv6_error *error);

/**
 * Opens a device.
 *
 * @param id      "cpu": the CPU path. "opencl": the first OpenCL device of any kind. "opencl:N": by index. Anything else: the
 *                first OpenCL device whose name contains the text, upper and lower case alike. NULL or "": the environment
 *                variable RWKV6_DEVICE (same syntax) if it is set and not empty, else the first GPU, else the CPU path; an
 *                OpenCL CPU device is never taken unless asked for.
 * @param options NULL: defaults
 * @param device  receives the handle, NULL on error; release it with rwkv6_device_close
 *
 * Blocks while drivers start. Any thread. Errors: INVALID_ARGUMENT, NO_DEVICE (the text lists what there is), OUT_OF_MEMORY,
 * DEVICE_ERROR.
 */
RWKV6_API rwkv6_status rwkv6_device_open(const char *id, const rwkv6_device_options *options, rwkv6_device **device,
                                         rwkv6_error *error);

/** Gives back the caller's hold on `*device` and sets it to NULL. Plans made from it go on working. Once per handle; may block
 * while the driver releases the context. */
RWKV6_API void rwkv6_device_close(rwkv6_device **device);

/**
 * Fills `info`, whose `size` the caller has set; fields beyond that size are not written. Neither may be NULL. Any thread, does
 * not block. Errors: INVALID_ARGUMENT.
 */
RWKV6_API rwkv6_status rwkv6_device_get_info(const rwkv6_device *device, rwkv6_device_info *info, rwkv6_error *error);

/* -------------------------------------------------------------------------------------------------------- program cache */

/*
 * Kernels are compiled when a plan needs them first, which can take seconds. OpenCL devices keep the result in a folder, so
 * that it happens once on a machine and not in every process (docs/cache.md). A program is only taken from there if it was
 * compiled from the same source with the same options for the same device, driver, platform and version of this library. Any
 * trouble with the folder, the files or the driver means that the program is compiled; the log callback hears why. Any number
 * of threads and processes may use a folder at once, and it may be deleted at any time.
 */

/** The folder of the device's program cache; "" if it keeps none, as the CPU path does. It may not exist yet. "" for NULL too.
 * Valid as long as the device. Any thread, does not block. */
RWKV6_API const char *rwkv6_device_cache_dir(const rwkv6_device *device);

/**
 * Writes the programs of all plans made so far on this device, compiled in this process or from the cache, as one blob: for
 * programs that may not write files, or that ship compiled kernels to machines that are all alike.
 *
 * @param device   not NULL
 * @param blob     [capacity] bytes; NULL with capacity 0: only the size
 * @param capacity bytes in `blob`
 * @param size     receives the bytes of the blob, which another thread that makes plans can change between two calls; 0 on the
 *                 CPU path. Not NULL
 *
 * Blocks while the driver makes binaries, for which PoCL compiles. Any thread; but without a program cache PoCL 3.1 ends the
 * process if kernels of the device run meanwhile (docs/cache.md). Errors: INVALID_ARGUMENT (capacity too small:
 * *size has what is needed), OUT_OF_MEMORY, DEVICE_ERROR (the driver does not hand out binaries). After an error the contents
 * of `blob` are undefined.
 */
RWKV6_API rwkv6_status rwkv6_device_save_programs(rwkv6_device *device, void *blob, size_t capacity, size_t *size,
                                                  rwkv6_error *error);

/**
 * Takes the programs of such a blob that are for this device, driver and version of the library; plans made from now on look
 * among them before they look on disk and before they compile. Other programs are passed over and are no error; a blob of a
 * library that writes them in another layout is passed over as a whole.
 *
 * A blob is checked against accidents, not against an attacker: load only what you would run.
 *
 * @param device not NULL
 * @param blob   [size] bytes, copied
 * @param taken  receives how many programs were taken; may be NULL
 *
 * Blocks while it copies and checks the blob, never for a compiler. Any thread. Errors: INVALID_ARGUMENT (cut short or
 * damaged: nothing is taken), OUT_OF_MEMORY.
 */
RWKV6_API rwkv6_status rwkv6_device_load_programs(rwkv6_device *device, const void *blob, size_t size, size_t *taken,
                                                  rwkv6_error *error);

/* -------------------------------------------------------------------------------------------------------------- problem */

typedef enum rwkv6_dtype { RWKV6_FP32 = 0, RWKV6_FP16 = 1, RWKV6_BF16 = 2 } rwkv6_dtype;

/** How w gives the decay factor of a token and key channel. dw comes back in the same form. */
typedef enum rwkv6_decay {
  RWKV6_DECAY_LOG = 0,   /**< factor = exp(w), w <= 0; -inf is legal and resets the channel's state */
  RWKV6_DECAY_RAW = 1,   /**< factor = exp(-exp(w)), as RWKV checkpoints store it; any w, dw is 0 where the factor is 0 */
  RWKV6_DECAY_FACTOR = 2 /**< factor = w, in [0, 1]; forward only */
} rwkv6_decay;

/** How far off o in bf16 may be (docs/numerics.md, "Relaxed precision"). A plan's explanation tells what became of it. */
typedef enum rwkv6_precision {
  RWKV6_PRECISION_FULL = 0,   /**< whatever a kernel rounds on the way is finer than bf16: o in bf16 is off by 1.7e-3, of which
                                   rounding the exact answer is 1.66e-3 */
  RWKV6_PRECISION_RELAXED = 1 /**< a kernel that is faster for it may round one operand of the last product of o to bf16 where
                                   all of the problem is in bf16: o is off by 2.4e-3, in tensors of few rows somewhat more.
                                   States, gradients and all else are as with full. Today variant hopper makes use of it: 2 to
                                   8 % faster */
} rwkv6_precision;

/**
 * Distance in elements from one token to the next and from one head to the next. Channels are always contiguous. 0 means
 * packed: head = channels, token = heads * channels. Rows of different (token, head) must not overlap. Not negative.
 */
typedef struct rwkv6_stride {
  int64_t token;
  int64_t head;
} rwkv6_stride;

/** Tensors that take part only if the problem says so (bits of rwkv6_problem.optional). */
enum {
  RWKV6_INITIAL_STATE = 1,  /**< forward and backward read initial_state; otherwise it is zero */
  RWKV6_FINAL_STATE = 2,    /**< forward writes final_state; no meaning to backward */
  RWKV6_DFINAL_STATE = 4,   /**< backward reads dfinal_state; otherwise it is zero. No meaning to forward */
  RWKV6_DINITIAL_STATE = 8, /**< backward writes dinitial_state. No meaning to forward */
  /**
   * Forward keeps the states of all sequences in a pool of `pool_slots` states: each sequence begins with the state in its slot
   * and leaves its final state there. Instead of RWKV6_INITIAL_STATE and RWKV6_FINAL_STATE. Forward only: backward refuses it.
   */
  RWKV6_STATE_POOL = 16
};

/** Extra checks (bits of rwkv6_problem.checks). */
enum {
  /**
   * rwkv6_run scans the inputs before it computes and refuses NaN anywhere, w > 0 in log form and w outside [0, 1] in factor
   * form. Costs a pass over the inputs; without it such values give the IEEE result of the formula.
   */
  RWKV6_CHECK_VALUES = 1,
  /**
   * For slots in a device buffer (rwkv6/opencl.h): reads them back and refuses one that is out of range or given to two
   * sequences, which costs waiting for the device. Without it, a slot out of range counts as -1, and the state of a slot that
   * two sequences share is undefined. Slots in host memory are always checked.
   */
  RWKV6_CHECK_SLOTS = 2
};

/**
 * What to compute. A plain struct: fill it with rwkv6_problem_init, then change fields. Making a plan copies it, cu_seqlens
 * included.
 *
 * Sequences are packed along tokens: sequence n owns tokens cu_seqlens[n] to cu_seqlens[n + 1] - 1, or, without cu_seqlens,
 * tokens / sequences tokens each. Empty sequences are legal: their final state is their initial state, or 0.
 */
typedef struct rwkv6_problem {
  size_t size;               /**< sizeof(rwkv6_problem), set by rwkv6_problem_init */
  int64_t sequences;         /**< N >= 1 */
  int64_t tokens;            /**< all sequences together, >= 0; a multiple of `sequences` unless cu_seqlens is given */
  const int64_t *cu_seqlens; /**< [sequences + 1] in host memory, ascending from 0 to `tokens`; NULL: equal lengths */
  int64_t heads;             /**< H >= 1 */
  int32_t key_dim;           /**< K, 1 to 256: channels of r, k, w, u */
  int32_t value_dim;         /**< V, 1 to 256: channels of v, o */
  rwkv6_dtype dtype;         /**< of r, k, v, o and of do, dr, dk, dv. Default fp32 */
  rwkv6_dtype w_dtype;       /**< of w and dw: equal to dtype, or fp32. Default fp32 */
  rwkv6_decay decay;         /**< default log */
  int32_t reverse;           /**< not 0: the recurrence runs from the last token of each sequence to its first */
  double scale;              /**< finite; default key_dim^(-1/2). RWKV language models pass 1 */
  uint32_t optional;         /**< RWKV6_INITIAL_STATE | ...; default 0 */
  uint32_t checks;           /**< RWKV6_CHECK_VALUES | RWKV6_CHECK_SLOTS; default 0 */
  rwkv6_stride r, k, v, w, o, do_, dr, dk, dv, dw; /**< default 0: packed */
  int64_t chunk_length;      /**< tokens per chunk in chunk mode, 0 to 4096; 0: automatic. The CPU path takes all of them, the
                                  portable OpenCL variants up to 16, fewer where key_dim or value_dim is large: chunk mode is
                                  then refused with the limit, and auto takes recurrent mode */
  int64_t segment_length;    /**< chunk mode on OpenCL devices: tokens per segment where a sequence is split to fill the device.
                                  0: automatic (bits may depend on the batch, and on the place in it), -1: never split, else a
                                  length >= 1, rounded up to a multiple of 2 (forward) or 4 (backward) times
                                  max(64, key_dim, value_dim), which bounds memory */
  int64_t pool_slots;        /**< with RWKV6_STATE_POOL: states in the pool, 1 to 2^31 - 1; otherwise 0 */
  rwkv6_precision precision; /**< default full */
  int32_t reserved;          /**< 0 */
} rwkv6_problem;

#define RWKV6_MAX_DIM 256
#define RWKV6_MAX_CHUNK_LENGTH 4096

/**
 * Safe defaults: equal lengths, fp32, log decay, forward in time, scale key_dim^(-1/2), no optional tensors, packed strides,
 * full precision. Nothing is checked here: making a plan does.
 *
 * @param problem receives the defaults; NULL is ignored
 * @param size    sizeof(rwkv6_problem) as the caller was compiled; no byte beyond it is written
 * @param sequences, tokens, heads, key_dim, value_dim  the fields of these names; tokens counts all sequences together
 *
 * Any thread.
 */
RWKV6_API void rwkv6_problem_init(rwkv6_problem *problem, size_t size, int64_t sequences, int64_t tokens, int64_t heads,
                                  int32_t key_dim, int32_t value_dim);

/* ----------------------------------------------------------------------------------------------------- variants and plans */

typedef enum rwkv6_operation { RWKV6_FORWARD = 0, RWKV6_BACKWARD = 1 } rwkv6_operation;

typedef enum rwkv6_mode {
  RWKV6_MODE_AUTO = 0,      /**< chunk on OpenCL devices where the longest sequence has 8 tokens or more, else recurrent; may
                                 change between versions, so name a mode where bits must not change */
  RWKV6_MODE_RECURRENT = 1, /**< token by token: lowest latency and memory */
  RWKV6_MODE_CHUNK = 2      /**< chunks of tokens as small matrix products: training and prompts */
} rwkv6_mode;

/** One kernel variant and whether it takes a problem on a device. */
typedef struct rwkv6_variant_info {
  size_t size;      /**< set by the caller: sizeof(rwkv6_variant_info) */
  const char *name; /**< "scalar", "portable", ...; static string */
  rwkv6_mode mode;  /**< recurrent or chunk */
  int32_t accepts;  /**< 1: takes the problem */
  char reason[256]; /**< why it refuses; "" if it accepts */
} rwkv6_variant_info;

/**
 * Lists the variants of an operation on a device in the order in which a plan considers them, refusals included. A plan
 * takes the first that accepts and whose kernels compile. Builds nothing, so it is quick.
 *
 * @param device   not NULL
 * @param problem  not NULL; checked as for a plan
 * @param mode     auto: the variants of both modes, preferred mode first
 * @param infos    [capacity]; the caller sets `size` of each entry. NULL with capacity 0: only count.
 * @param count    receives the number of variants; must not be NULL
 *
 * Any thread, does not block. Errors: INVALID_ARGUMENT (also for a problem that no plan would take).
 */
RWKV6_API rwkv6_status rwkv6_variant_list(const rwkv6_device *device, const rwkv6_problem *problem, rwkv6_operation operation,
                                          rwkv6_mode mode, rwkv6_variant_info *infos, size_t capacity, size_t *count,
                                          rwkv6_error *error);

/** A way to compute one operation of one problem on one device. One thread at a time; threads make a plan each. */
typedef struct rwkv6_plan rwkv6_plan;

typedef struct rwkv6_plan_info {
  size_t size; /**< set by the caller: sizeof(rwkv6_plan_info) */
  rwkv6_operation operation;
  rwkv6_mode mode;         /**< recurrent or chunk: what auto came to */
  const char *variant;     /**< the chosen variant; static string */
  const char *explanation; /**< lines: the variant chosen and, for each one passed over, why. Valid as long as the plan */
  uint64_t workspace;      /**< bytes of scratch memory beside the tensors, on the device */
  int64_t launches;        /**< kernel launches of one run; 0 on the CPU path */
} rwkv6_plan_info;

/** `rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;` */
#define RWKV6_PLAN_INFO_INIT                                                                                                   \
  { sizeof(rwkv6_plan_info), RWKV6_FORWARD, RWKV6_MODE_AUTO, NULL, NULL, 0, 0 }

/**
 * Makes a plan. Checks every field of the problem. On an OpenCL device the first plan for a combination of dtypes, decay form,
 * key_dim, value_dim and, where it matters, precision compiles kernels (up to seconds); later plans find them in the device.
 * It takes the first variant that accepts (rwkv6_variant_list) and whose kernels compile: one that the driver cannot compile
 * is passed over, with a warning to the log and a line in the explanation, and every such plan tries it again.
 *
 * @param device  not NULL; kept alive by the plan
 * @param problem not NULL; copied, cu_seqlens included
 * @param mode    recurrent or chunk: that or UNSUPPORTED; auto: what the device has
 * @param plan    receives the handle, NULL on error; release it with rwkv6_plan_destroy
 *
 * Blocks while its own kernels compile, in this thread or in another that makes a plan for the same; not for other kernels.
 * Any thread. Errors: INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY, BUILD_FAILED (no variant that accepts
 * compiles; the text is that of the last), DEVICE_ERROR.
 */
RWKV6_API rwkv6_status rwkv6_plan_create(rwkv6_device *device, const rwkv6_problem *problem, rwkv6_operation operation,
                                         rwkv6_mode mode, rwkv6_plan **plan, rwkv6_error *error);

/** Frees the plan and the device memory it holds, and sets `*plan` to NULL. Not while another thread uses the plan. May block
 * while the driver frees memory. */
RWKV6_API void rwkv6_plan_destroy(rwkv6_plan **plan);

/** Fills `info`, whose `size` the caller has set. Neither may be NULL. Does not block. The plan's thread. Errors:
 * INVALID_ARGUMENT. */
RWKV6_API rwkv6_status rwkv6_plan_get_info(const rwkv6_plan *plan, rwkv6_plan_info *info, rwkv6_error *error);

/**
 * What the OpenCL compiler said about the program that makes this plan's outputs or gradients, warnings included ("" if
 * nothing, and on the CPU path). Those that make states have the same functions. Not empty does not mean an error. "" for NULL
 * too. Valid as long as the plan. The plan's thread. When a build fails there is no plan: the start of the log is in the error,
 * the whole of it goes to the log callback.
 */
RWKV6_API const char *rwkv6_plan_build_log(const rwkv6_plan *plan);

/* ------------------------------------------------------------------------------------------------------------------ run */

/**
 * Host pointers of all tensors of a call; start from RWKV6_TENSORS_INIT (all NULL). The comments give the shape, whose token
 * and head strides the problem may change, and the element type: D = problem.dtype, W = problem.w_dtype, else float.
 *
 * A tensor that the operation and problem.optional make part of the call must be given; every other one must be NULL. A tensor
 * without elements (no tokens) may be NULL. Pointers are aligned to their element type. Outputs must not overlap anything else,
 * with one exception: final_state may be the same pointer as initial_state (the state is then updated in place).
 * The elements between rows of a strided tensor are neither read nor written.
 */
typedef struct rwkv6_tensors {
  size_t size; /**< sizeof(rwkv6_tensors), set by RWKV6_TENSORS_INIT */
  /* read by forward and backward */
  const void *r;              /**< D [tokens, heads, key_dim] */
  const void *k;              /**< D [tokens, heads, key_dim] */
  const void *v;              /**< D [tokens, heads, value_dim] */
  const void *w;              /**< W [tokens, heads, key_dim] */
  const float *u;             /**< [heads, key_dim] */
  const float *initial_state; /**< [sequences, heads, key_dim, value_dim]; RWKV6_INITIAL_STATE */
  /* written by forward */
  void *o;            /**< D [tokens, heads, value_dim] */
  float *final_state; /**< [sequences, heads, key_dim, value_dim]; RWKV6_FINAL_STATE */
  /* read by backward */
  const void *do_;           /**< D [tokens, heads, value_dim]: gradient of o ("do" is a word of C) */
  const float *dfinal_state; /**< [sequences, heads, key_dim, value_dim]; RWKV6_DFINAL_STATE */
  /* written by backward */
  void *dr;              /**< D [tokens, heads, key_dim] */
  void *dk;              /**< D [tokens, heads, key_dim] */
  void *dv;              /**< D [tokens, heads, value_dim] */
  void *dw;              /**< W [tokens, heads, key_dim]: gradient of w in the form w has */
  float *du;             /**< [heads, key_dim] */
  float *dinitial_state; /**< [sequences, heads, key_dim, value_dim]; RWKV6_DINITIAL_STATE */
  /* read and written by forward */
  float *pool;          /**< [pool_slots, heads, key_dim, value_dim]; RWKV6_STATE_POOL. Only slots in use are touched */
  const int32_t *slots; /**< [sequences], read: 0 to pool_slots - 1, each at most once; -1: the sequence is left out, its
                             rows of o and every state stay as they are */
} rwkv6_tensors;

/** `rwkv6_tensors tensors = RWKV6_TENSORS_INIT;` */
#define RWKV6_TENSORS_INIT                                                                                                     \
  {                                                                                                                            \
    sizeof(rwkv6_tensors), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,     \
        NULL, NULL                                                                                                             \
  }

/**
 * Computes the plan's operation on host memory, on whatever device the plan was made for, and returns when the outputs are
 * complete. On an OpenCL device the first run allocates device buffers for the tensors, which the plan keeps.
 *
 * Deterministic: the same plan arguments and inputs on the same device give the same bits. o, states, dr, dk, dv and dw of a
 * sequence have the same bits whether it is computed alone or in a batch (mode and segment length explicit).
 *
 * @param plan    not NULL
 * @param tensors not NULL; the struct and the inputs are read, the outputs written, during the call only
 *
 * Blocks. One thread at a time per plan. Errors: INVALID_ARGUMENT (nothing written), OUT_OF_MEMORY and OUT_OF_DEVICE_MEMORY
 * (nothing written), DEVICE_ERROR (outputs undefined).
 */
RWKV6_API rwkv6_status rwkv6_run(rwkv6_plan *plan, const rwkv6_tensors *tensors, rwkv6_error *error);

/* --------------------------------------------------------------------------------------------------------------- states */

/*
 * States in host memory: a pool, or one of a single state (pool_slots 1, slot 0). Of `problem` only heads, key_dim, value_dim
 * and pool_slots matter, which must be sizes that a problem may have. rwkv6/opencl.h has the same for pools in device buffers.
 * None of them blocks; any thread, but not while another one uses the slots in question. Errors: INVALID_ARGUMENT.
 */

/** Elements of one state, heads * key_dim * value_dim, into `elements`. */
RWKV6_API rwkv6_status rwkv6_state_elements(const rwkv6_problem *problem, int64_t *elements, rwkv6_error *error);

/** The state before the first token: zeros, into a slot of `pool` [pool_slots, heads, key_dim, value_dim]. */
RWKV6_API rwkv6_status rwkv6_state_zero(const rwkv6_problem *problem, float *pool, int32_t slot, rwkv6_error *error);

/** Copies slot `from` to slot `to` (which may be the same): two sequences then go on from one beginning. */
RWKV6_API rwkv6_status rwkv6_state_fork(const rwkv6_problem *problem, float *pool, int32_t from, int32_t to,
                                        rwkv6_error *error);

/** Copies a slot into `state` [heads, key_dim, value_dim], memory of the caller outside the pool. */
RWKV6_API rwkv6_status rwkv6_state_save(const rwkv6_problem *problem, const float *pool, int32_t slot, float *state,
                                        rwkv6_error *error);

/** Copies `state` [heads, key_dim, value_dim], memory outside the pool, into a slot. */
RWKV6_API rwkv6_status rwkv6_state_load(const rwkv6_problem *problem, float *pool, int32_t slot, const float *state,
                                        rwkv6_error *error);

/** Order of the two dimensions of a head's state. */
typedef enum rwkv6_state_layout {
  RWKV6_STATE_KEY_VALUE = 0, /**< [key_dim, value_dim]: that of this library */
  RWKV6_STATE_VALUE_KEY = 1  /**< [value_dim, key_dim]: that of several other projects */
} rwkv6_state_layout;

/**
 * Transposes states: reads them in the other layout, writes them in `layout`.
 *
 * @param layout what `to` is to have: RWKV6_STATE_KEY_VALUE for states that come from elsewhere, RWKV6_STATE_VALUE_KEY for
 *               those that go there
 * @param count  states in `from` and `to`, >= 0
 * @param from   [count, heads, ...]; must not overlap `to`
 */
RWKV6_API rwkv6_status rwkv6_state_convert(const rwkv6_problem *problem, rwkv6_state_layout layout, int64_t count,
                                           const float *from, float *to, rwkv6_error *error);

#ifdef __cplusplus
}
#endif

#endif
