/* SPDX-License-Identifier: MIT */
/* The table of the fake library: its functions by name, how often each was called, and which call fails. */
#include <string.h>

#include "fake_library.h"
#include "faults.h"

#define NAME(name) "cl" #name,
static const char *const names[FAKE_FUNCTIONS] = {RWKV6_CL_FUNCTIONS(NAME)};
static long calls[FAKE_FUNCTIONS];

/* What may be called while only enqueueing. */
static const fake_function of_enqueueing[] = {FAKE_GetCommandQueueInfo, FAKE_GetEventInfo,         FAKE_GetMemObjectInfo,
                                              FAKE_SetKernelArg,        FAKE_EnqueueNDRangeKernel, FAKE_EnqueueFillBuffer,
                                              FAKE_EnqueueCopyBuffer,   FAKE_EnqueueReadBuffer,    FAKE_EnqueueWriteBuffer,
                                              FAKE_ReleaseEvent};
static bool enqueueing;
static long allocations; /* before */

cl_int fake_code = CL_DEVICE_NOT_AVAILABLE;
static const char *small_kernels = "";
static size_t small_work_group = 1024;
int fake_changed_text, fake_compute_capability;
const char *fake_refused;

void fake_opencl_set_code(cl_int code) {
  fake_code = code;
}

void fake_opencl_set_work_group(const char *kernels, size_t work_items) {
  small_kernels = kernels;
  small_work_group = work_items;
}

size_t fake_work_group(const char *kernel) {
  return strncmp(kernel, small_kernels, strlen(small_kernels)) ? 1024 : small_work_group;
}

void fake_opencl_set_text(int which) {
  fake_changed_text = which;
}

void fake_opencl_set_compute_capability(int capability) {
  fake_compute_capability = capability;
}

void fake_opencl_refuse_builds(const char *option) {
  fake_refused = option;
}

void fake_opencl_begin_enqueueing(void) {
  enqueueing = true;
  allocations = faults_count(FAULT_MEMORY);
}

void fake_opencl_end_enqueueing(void) {
  enqueueing = false;
  if (faults_count(FAULT_MEMORY) != allocations) fake_note("a call that only enqueues", "allocates memory");
}

static void check_enqueueing(fake_function function) {
  if (!enqueueing) return;
  for (size_t i = 0; i < sizeof of_enqueueing / sizeof *of_enqueueing; i++)
    if (of_enqueueing[i] == function) return;
  fake_note(names[function], "in a call that only enqueues");
}

void fake_check_blocking(cl_bool blocking, fake_function function) {
  if (enqueueing && blocking) fake_note(names[function], "waits in a call that only enqueues");
}

bool fake_fails_as(fake_function function, const char *name) {
  check_enqueueing(function);
  calls[function]++;
  return faults_here(FAULT_OPENCL, name);
}

bool fake_fails(fake_function function) {
  return fake_fails_as(function, names[function]);
}

long fake_opencl_calls(size_t index, const char **name) {
  *name = index < FAKE_FUNCTIONS ? names[index] : NULL;
  return *name ? calls[index] : 0;
}

rwkv6_opencl_function fake_opencl_lookup(void *user, const char *name) {
  (void)user;
  for (size_t i = 0; i < FAKE_FUNCTIONS; i++)
    if (strcmp(name, names[i]) == 0) return fake_calls[i];
  return NULL; /* what only `rwkv6 bench` uses */
}
