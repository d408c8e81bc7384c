/* SPDX-License-Identifier: MIT */
/*
 * Looks on at what the library asks of OpenCL: an event for each launch, and the bytes of the buffers it makes. The device's
 * table of functions is exchanged for one that counts, so that what is timed is the code that everybody runs. The tool has one
 * thread and one device.
 */
#ifndef RWKV6_SRC_CLI_BENCH_TRACE_H
#define RWKV6_SRC_CLI_BENCH_TRACE_H

#include "opencl/context.h"

/* From now on, for everything that is made from this OpenCL device. UNSUPPORTED if its library lacks what times are taken
 * with. */
rwkv6_status bench_trace_install(rwkv6_device *device, rwkv6_error *error);

/* Bytes of all buffers made since the last call. */
uint64_t bench_trace_allocated(void);

/* Between these two, launches are remembered. The queue must have CL_QUEUE_PROFILING_ENABLE. */
void bench_trace_record(void);
void bench_trace_stop(void);

/* Launches remembered so far. */
size_t bench_trace_count(void);

typedef struct bench_span {
  double span; /* seconds from the start of the first launch to the end of the last */
  double busy; /* sum over the launches */
} bench_span;

/* Of the launches [first, last), which have finished. */
rwkv6_status bench_trace_span(size_t first, size_t last, bench_span *span, rwkv6_error *error);

/* Releases all events. */
void bench_trace_forget(void);

#endif
