/* SPDX-License-Identifier: MIT */
/**
 * rwkv6cl for programs that own their OpenCL objects: work is enqueued on the caller's queue, on the caller's buffers, between
 * the caller's events. docs/embedding.md has the rules of ownership, lifetime, threads and errors in one page.
 *
 *     rwkv6_opencl_device_wrap(context, device_id, NULL, &device, &error);
 *     rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, &plan, &error);    (as for any device)
 *     rwkv6_opencl_enqueue(plan, queue, &tensors, 0, NULL, &event, &error);
 *
 * Includes the OpenCL headers and sets no macro of theirs: define CL_TARGET_OPENCL_VERSION before, as for any use of them. The
 * library calls OpenCL 1.2 functions only. Conventions of rwkv6.h hold here too.
 */
#ifndef RWKV6_OPENCL_H
#define RWKV6_OPENCL_H

#ifdef __APPLE__
#include <OpenCL/cl.h>
#else
#include <CL/cl.h>
#endif

#include "rwkv6.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------------------------------------------------------- devices */

/**
 * Opens a device on the caller's context.
 *
 * @param context   not NULL; retained until the device and all plans made from it are gone, never owned. Any number of devices
 * @param device_id a device of the context, or a sub-device if the context has it; not NULL
 * @param options   NULL: defaults; read during the call only
 * @param device    not NULL; receives the handle, NULL on error; release it with rwkv6_device_close
 * @param error     receives what was wrong; may be NULL
 *
 * The OpenCL library that this process uses must be the one that made the objects: where that is not the system's libOpenCL,
 * name it first (rwkv6_opencl_load_library, rwkv6_opencl_load_symbols). `id` in its rwkv6_device_info is "wrapped".
 *
 * Asks the device what it is and compiles nothing: it does not block, but for the first call of a process that needs OpenCL,
 * which loads the library. Any thread. Errors: INVALID_ARGUMENT (also for a device that the context does not have), NO_DEVICE
 * (no OpenCL library), OUT_OF_MEMORY, DEVICE_ERROR.
 */
RWKV6_API rwkv6_status rwkv6_opencl_device_wrap(cl_context context, cl_device_id device_id, const rwkv6_device_options *options,
                                                rwkv6_device **device, rwkv6_error *error);

/**
 * The OpenCL objects of a device, wrapped or opened: what a caller needs to make queues and buffers for it.
 *
 * @param device              with OpenCL; not NULL
 * @param context, device_id  receive the objects, valid as long as the device or a plan made from it; retain them to keep them
 *                            longer. Each may be NULL
 *
 * Any thread, does not block. Errors: INVALID_ARGUMENT (the CPU path has none).
 */
RWKV6_API rwkv6_status rwkv6_opencl_device_objects(const rwkv6_device *device, cl_context *context, cl_device_id *device_id,
                                                   rwkv6_error *error);

/* -------------------------------------------------------------------------------------------------------------- enqueue */

/** Where a tensor begins. A buffer of NULL: the tensor does not take part. Passed by value and without a size of its own, so
 * frozen: no field will be added. */
typedef struct rwkv6_opencl_tensor {
  cl_mem buffer;  /**< of the device's context; a sub-buffer is fine too */
  int64_t offset; /**< elements (of the tensor's type) from the start of the buffer; not negative */
} rwkv6_opencl_tensor;

/**
 * All tensors of a call; start from RWKV6_OPENCL_TENSORS_INIT. Shapes, types and which of them take part: as in rwkv6_tensors,
 * strides by the problem. Tensors may share buffers as long as outputs lie apart from everything else (final_state may be
 * initial_state). A buffer that is written must not be CL_MEM_READ_ONLY, one that is read not CL_MEM_WRITE_ONLY; what
 * problem.checks has read back must not be CL_MEM_HOST_NO_ACCESS or CL_MEM_HOST_WRITE_ONLY.
 */
typedef struct rwkv6_opencl_tensors {
  size_t size;                                            /**< sizeof(rwkv6_opencl_tensors), set by RWKV6_OPENCL_TENSORS_INIT */
  rwkv6_opencl_tensor r, k, v, w, u, initial_state;       /**< read by forward and backward */
  rwkv6_opencl_tensor o, final_state;                     /**< written by forward */
  rwkv6_opencl_tensor do_, dfinal_state;                  /**< read by backward */
  rwkv6_opencl_tensor dr, dk, dv, dw, du, dinitial_state; /**< written by backward */
  rwkv6_opencl_tensor pool;                               /**< read and written by forward */
  rwkv6_opencl_tensor slots;                              /**< int32, read by forward when it runs, not when it is enqueued */
  cl_mem workspace;          /**< read and written; contents need not be kept and mean nothing. May be NULL if the plan needs
                                  none. Not in use by two calls at the same time */
  uint64_t workspace_offset; /**< BYTES from its start, a multiple of 256; the plan uses its rwkv6_plan_info.workspace bytes
                                  from there on */
} rwkv6_opencl_tensors;

/** `rwkv6_opencl_tensors tensors = RWKV6_OPENCL_TENSORS_INIT;` */
/* clang-format off */
#define RWKV6_OPENCL_TENSORS_INIT                                                                                              \
  { sizeof(rwkv6_opencl_tensors), { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 },   \
    { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 },       \
    { NULL, 0 }, { NULL, 0 }, NULL, 0 }
/* clang-format on */

/**
 * Enqueues the plan's operation: rwkv6_plan_info.launches kernels, one for a step of single tokens however many sequences
 * (docs/embedding.md says why, and where that ends). Returns at once; allocates, builds and waits for nothing, and does not
 * flush the queue. Everything is checked before the first kernel is enqueued.
 *
 * @param plan       of a device with OpenCL; not NULL. It may be destroyed, and buffers released, right after this call
 * @param queue      of the device's context and device, in-order or out-of-order; not NULL
 * @param tensors    not NULL; the struct is read during the call only. What it names must stay unchanged (inputs) and untouched
 *                   (outputs, workspace) until the work is complete
 * @param wait_count, wait_list  events of the same context that must be complete before the work begins; 0 and NULL: none
 * @param event      receives an event that is complete when the work is; the caller releases it. NULL: none is wanted (then
 *                   none is made on an in-order queue). Written only on success
 * With RWKV6_CHECK_SLOTS or RWKV6_CHECK_VALUES in problem.checks, what they check is read back first: the call then waits for
 * wait_list and for the queue.
 *
 * One thread at a time per plan. Errors: INVALID_ARGUMENT, and with these checks OUT_OF_MEMORY (nothing enqueued);
 * DEVICE_ERROR, OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY from an OpenCL call: work may have been enqueued before it failed, so
 * outputs are undefined, and the queue is to be finished before buffers are used again.
 */
RWKV6_API rwkv6_status rwkv6_opencl_enqueue(rwkv6_plan *plan, cl_command_queue queue, const rwkv6_opencl_tensors *tensors,
                                            cl_uint wait_count, const cl_event *wait_list, cl_event *event, rwkv6_error *error);

/* --------------------------------------------------------------------------------------------------------------- states */

/* The rwkv6_state_* calls of rwkv6.h for a pool in a buffer, enqueued. Only the slots named are touched. */

/**
 * Zeros into a slot: for a sequence that begins.
 *
 * @param device     with OpenCL: its context is that of pool and queue; not NULL
 * @param problem    its heads, key_dim, value_dim and pool_slots describe the pool, the rest does not matter; not NULL
 * @param queue      of the device's context and device, in-order or out-of-order; not NULL. It is not flushed
 * @param pool       [pool_slots, heads, key_dim, value_dim] from element pool.offset on; not CL_MEM_READ_ONLY
 * @param slot       0 to pool_slots - 1
 * @param wait_count, wait_list  events of the same context that must be complete before the work begins; 0 and NULL: none
 * @param event      receives the event of the work, for the caller to release; only on success. NULL: none is wanted
 * @param error      receives what was wrong; may be NULL
 *
 * Returns at once. Any thread. Errors: INVALID_ARGUMENT (nothing enqueued); DEVICE_ERROR, OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY
 * from OpenCL (nothing enqueued either).
 */
RWKV6_API rwkv6_status rwkv6_opencl_state_zero(rwkv6_device *device, const rwkv6_problem *problem, cl_command_queue queue,
                                               rwkv6_opencl_tensor pool, int32_t slot, cl_uint wait_count,
                                               const cl_event *wait_list, cl_event *event, rwkv6_error *error);

/**
 * Copies a slot to another one: two sequences then go on from one beginning.
 *
 * @param device     with OpenCL: its context is that of pool and queue; not NULL
 * @param problem    its heads, key_dim, value_dim and pool_slots describe the pool, the rest does not matter; not NULL
 * @param queue      of the device's context and device, in-order or out-of-order; not NULL. It is not flushed
 * @param pool       [pool_slots, heads, key_dim, value_dim] from element pool.offset on; not CL_MEM_READ_ONLY or
 *                   CL_MEM_WRITE_ONLY
 * @param from, to   0 to pool_slots - 1, not the same
 * @param wait_count, wait_list  events of the same context that must be complete before the copy begins; 0 and NULL: none
 * @param event      receives the event of the copy, for the caller to release; only on success. NULL: none is wanted
 * @param error      receives what was wrong; may be NULL
 *
 * Returns at once. Any thread. Errors: INVALID_ARGUMENT (nothing enqueued); DEVICE_ERROR, OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY
 * from OpenCL (nothing enqueued either).
 */
RWKV6_API rwkv6_status rwkv6_opencl_state_fork(rwkv6_device *device, const rwkv6_problem *problem, cl_command_queue queue,
                                               rwkv6_opencl_tensor pool, int32_t from, int32_t to, cl_uint wait_count,
                                               const cl_event *wait_list, cl_event *event, rwkv6_error *error);

/**
 * Copies a slot to host memory.
 *
 * @param device     with OpenCL: its context is that of pool and queue; not NULL
 * @param problem    its heads, key_dim, value_dim and pool_slots describe the pool, the rest does not matter; not NULL
 * @param queue      of the device's context and device, in-order or out-of-order; not NULL. It is not flushed
 * @param pool       [pool_slots, heads, key_dim, value_dim] from element pool.offset on; not CL_MEM_WRITE_ONLY,
 *                   CL_MEM_HOST_NO_ACCESS or CL_MEM_HOST_WRITE_ONLY
 * @param slot       0 to pool_slots - 1
 * @param state      [heads, key_dim, value_dim], not NULL; filled when the copy is complete, not to be touched before
 * @param wait_count, wait_list  events of the same context that must be complete before the copy begins; 0 and NULL: none
 * @param event      receives the event of the copy, for the caller to release; only on success. NULL: none is wanted
 * @param error      receives what was wrong; may be NULL
 *
 * Returns at once. Any thread. Errors: INVALID_ARGUMENT (nothing enqueued); DEVICE_ERROR, OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY
 * from OpenCL (nothing enqueued either).
 */
RWKV6_API rwkv6_status rwkv6_opencl_state_save(rwkv6_device *device, const rwkv6_problem *problem, cl_command_queue queue,
                                               rwkv6_opencl_tensor pool, int32_t slot, float *state, cl_uint wait_count,
                                               const cl_event *wait_list, cl_event *event, rwkv6_error *error);

/**
 * Copies a state from host memory into a slot.
 *
 * @param device     with OpenCL: its context is that of pool and queue; not NULL
 * @param problem    its heads, key_dim, value_dim and pool_slots describe the pool, the rest does not matter; not NULL
 * @param queue      of the device's context and device, in-order or out-of-order; not NULL. It is not flushed
 * @param pool       [pool_slots, heads, key_dim, value_dim] from element pool.offset on; not CL_MEM_READ_ONLY,
 *                   CL_MEM_HOST_NO_ACCESS or CL_MEM_HOST_READ_ONLY
 * @param slot       0 to pool_slots - 1
 * @param state      [heads, key_dim, value_dim], not NULL. Must have its values when the call is made, whatever the wait list,
 *                   as some drivers read it then, and keep them until the copy is complete, as others read it then
 * @param wait_count, wait_list  events of the same context that must be complete before the copy begins; 0 and NULL: none
 * @param event      receives the event of the copy, for the caller to release; only on success. NULL: none is wanted
 * @param error      receives what was wrong; may be NULL
 *
 * Returns at once. Any thread. Errors: INVALID_ARGUMENT (nothing enqueued); DEVICE_ERROR, OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY
 * from OpenCL (nothing enqueued either).
 */
RWKV6_API rwkv6_status rwkv6_opencl_state_load(rwkv6_device *device, const rwkv6_problem *problem, cl_command_queue queue,
                                               rwkv6_opencl_tensor pool, int32_t slot, const float *state, cl_uint wait_count,
                                               const cl_event *wait_list, cl_event *event, rwkv6_error *error);

#ifdef __cplusplus
}
#endif

#endif
