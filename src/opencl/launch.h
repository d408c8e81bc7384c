/* SPDX-License-Identifier: MIT */
/* What all launchers need: kernels with a work-group that the device takes, arguments in order, work split over launches. */
#ifndef RWKV6_SRC_OPENCL_LAUNCH_H
#define RWKV6_SRC_OPENCL_LAUNCH_H

#include "opencl/chain.h"
#include "opencl/context.h"

/* Smallest work-group that kernels are built for. */
#define RWKV6_MIN_WORK_GROUP 32

/* Local memory of the smallest devices (32 KiB), less room for what the driver itself takes. */
#define RWKV6_CL_LOCAL_BYTES (30 * 1024)

/* What kernels may plan with on this device: 2 KiB less than it has, 46 KiB at most, so that work-groups share a compute
 * unit. */
int rwkv6_cl_local_limit(const rwkv6_device *device);

/* Parts of the workspace begin at multiples of 256 bytes. */
static inline uint64_t rwkv6_cl_align(uint64_t bytes) {
  return (bytes + 255) / 256 * 256;
}

/* The least power of 2 that is at least `value`. */
int rwkv6_power_of_2(int value);
/* a / b, rounded up; b is positive, a not negative. */
int64_t rwkv6_divide_up(int64_t a, int64_t b);

/* Writes the -D options that follow from the work-group, or returns false if the kernel cannot have such a one; `geometry` is
 * the launcher's own. */
typedef bool rwkv6_cl_options_function(const rwkv6_problem *problem, int work_group, void *geometry, char *options,
                                       size_t size);

/* Work-items to begin with: the preferred ones, or those that tests have set, as far as the device takes as many. */
int rwkv6_cl_largest_work_group(const rwkv6_device *device, int preferred);

/*
 * Builds cl/`file` for the largest work-group, from `largest` downward, that all `count` kernels of it can run with, and
 * creates those kernels. Powers of 2 only. `log` receives the compiler's words, owned by the device. The kernels belong to the
 * caller, as no two threads may share a cl_kernel.
 */
rwkv6_status rwkv6_cl_build_kernels(rwkv6_device *device, const rwkv6_problem *problem, const char *file,
                                    const char *const *names, int count, int largest, rwkv6_cl_options_function *options,
                                    void *geometry, cl_kernel *kernels, const char **log, rwkv6_error *error);

/* Of those that are not NULL; they are afterwards. */
void rwkv6_cl_release_kernels(const rwkv6_cl_device *d, cl_kernel *kernels, int count);

/* Sets arguments one after the other; the first failure sticks in `code`. */
typedef struct rwkv6_cl_arguments {
  const rwkv6_cl_functions *cl;
  cl_kernel kernel;
  cl_uint index;
  cl_int code;
} rwkv6_cl_arguments;

void rwkv6_cl_arg_value(rwkv6_cl_arguments *arguments, size_t size, const void *value);
void rwkv6_cl_arg_buffer(rwkv6_cl_arguments *arguments, cl_mem buffer);
void rwkv6_cl_arg_long(rwkv6_cl_arguments *arguments, int64_t value);
void rwkv6_cl_arg_int(rwkv6_cl_arguments *arguments, int value);
void rwkv6_cl_arg_float(rwkv6_cl_arguments *arguments, double value);
/* Buffer and layout_t (cl/storage.h) of a strided tensor. */
void rwkv6_cl_arg_tensor(rwkv6_cl_arguments *arguments, const rwkv6_cl_call *call, rwkv6_tensor_id id);
/* Buffer and offset of u, du, a state, the pool or its slots. */
void rwkv6_cl_arg_packed(rwkv6_cl_arguments *arguments, const rwkv6_cl_call *call, rwkv6_tensor_id id);
/* A part of the workspace that begins at a byte (a multiple of 4): buffer and offset in floats. NULL if `present` is false. */
void rwkv6_cl_arg_workspace(rwkv6_cl_arguments *arguments, const rwkv6_cl_call *call, uint64_t byte, bool present);

/*
 * Windows of kernels that carry states hold at least this many steps: a carried state then belongs to that many tokens, which
 * bounds the memory for all of them to half a tensor. Work is split by work-groups instead.
 */
int64_t rwkv6_cl_least_window(const rwkv6_problem *problem);

/* How much of a kernel one launch does: `steps` of every unit in `groups` work-groups. */
typedef struct rwkv6_cl_window {
  int64_t steps;
  int64_t groups;
} rwkv6_cl_window;

/*
 * Splits `groups` work-groups that each take up to `longest` steps, so that one launch stays under the device's budget by a
 * simple model: operations over a cautious guess of the device's speed, and a floor for the latency of a step. steps is a
 * multiple of `quantum`; fewer than two of them are not split, so that a carried state belongs to that many tokens at least.
 * Where a driver ends long loops (quirks.h) a launch is one quantum.
 */
rwkv6_cl_window rwkv6_cl_choose_window(const rwkv6_device *device, int64_t groups, int64_t longest, int64_t quantum,
                                       double operations_per_step);

/*
 * The same for a kernel of forward whose steps are tokens, with one rule more: a step of single tokens is one launch, whatever
 * the budget. It reads and writes each state once, so it takes no longer than the memory of the device needs to be read and
 * written: less than the seconds after which a watchdog of a display resets it. (No launch has more than 2^22 work-groups:
 * 16 GiB of states of 64 x 64.)
 */
rwkv6_cl_window rwkv6_cl_choose_forward_window(const rwkv6_device *device, int64_t groups, int64_t longest, int64_t quantum,
                                               double operations_per_step);

/* Launches that a window leads to. */
int64_t rwkv6_cl_count_launches(rwkv6_cl_window window, int64_t groups, int64_t longest);

/*
 * Enqueues the launches of one kernel whose arguments are set but for the last three: first_step, last_step, first_group. With
 * `backward` the windows with the last steps come first.
 *
 * A rehearsal (rehearsal.h) launches the window past the end of every unit instead, on a small buffer of zeros and with
 * more work-groups than the plan has: there a kernel must not write anything, nor read more than u.
 */
rwkv6_status rwkv6_cl_launch_windows(const rwkv6_cl_call *call, rwkv6_cl_arguments *arguments, rwkv6_cl_window window,
                                     int64_t groups, int64_t longest, int work_group, bool backward, rwkv6_error *error);

#endif
