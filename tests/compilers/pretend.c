/* SPDX-License-Identifier: MIT */
#include "pretend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define COMPUTE_CAPABILITY_MINOR_NV 0x4001

static const pretend_device *present;
static pretend_program *made[PRETEND_MAX_PROGRAMS];
static size_t made_count;
static char place[8]; /* what handles point to that nobody looks into */

size_t pretend_programs(pretend_program *const **programs) {
  *programs = made;
  return made_count;
}

static char *copy(const char *text) {
  char *copied = malloc(strlen(text) + 1);
  if (!copied) exit(1);
  return strcpy(copied, text);
}

static cl_int give(const void *value, size_t bytes, size_t size, void *to, size_t *size_ret) {
  if (size_ret) *size_ret = bytes;
  if (!to) return CL_SUCCESS;
  if (size < bytes) return CL_INVALID_VALUE;
  memcpy(to, value, bytes);
  return CL_SUCCESS;
}

static cl_int give_text(const char *text, size_t size, void *to, size_t *size_ret) {
  return give(text, strlen(text) + 1, size, to, size_ret);
}

static cl_int give_uint(cl_uint value, size_t size, void *to, size_t *size_ret) {
  return give(&value, sizeof value, size, to, size_ret);
}

static cl_int give_ulong(cl_ulong value, size_t size, void *to, size_t *size_ret) {
  return give(&value, sizeof value, size, to, size_ret);
}

static cl_int CL_API_CALL get_platforms(cl_uint room, cl_platform_id *ids, cl_uint *count) {
  if (count) *count = 1;
  if (ids && room) ids[0] = (cl_platform_id)(void *)place;
  return CL_SUCCESS;
}

static cl_int CL_API_CALL get_platform_info(cl_platform_id id, cl_platform_info what, size_t size, void *to, size_t *size_ret) {
  (void)id;
  switch (what) {
  case CL_PLATFORM_NAME: return give_text(present->platform, size, to, size_ret);
  case CL_PLATFORM_VERSION: return give_text("OpenCL 3.0 pretended", size, to, size_ret);
  default: return give_text("", size, to, size_ret);
  }
}

static cl_int CL_API_CALL get_devices(cl_platform_id id, cl_device_type type, cl_uint room, cl_device_id *ids, cl_uint *count) {
  (void)id;
  if (!(type & CL_DEVICE_TYPE_GPU)) return CL_DEVICE_NOT_FOUND;
  if (count) *count = 1;
  if (ids && room) ids[0] = (cl_device_id)(void *)place;
  return CL_SUCCESS;
}

static cl_int get_device_text(cl_device_info what, size_t size, void *to, size_t *size_ret) {
  switch (what) {
  case CL_DEVICE_NAME: return give_text(present->device, size, to, size_ret);
  case CL_DEVICE_VENDOR: return give_text(present->vendor, size, to, size_ret);
  case CL_DEVICE_VERSION: return give_text("OpenCL 3.0 pretended", size, to, size_ret);
  case CL_DEVICE_OPENCL_C_VERSION: return give_text("OpenCL C 1.2 pretended", size, to, size_ret);
  case CL_DRIVER_VERSION: return give_text("pretended", size, to, size_ret);
  case CL_DEVICE_EXTENSIONS: return give_text(present->extensions, size, to, size_ret);
  default: return CL_INVALID_VALUE;
  }
}

static cl_int CL_API_CALL get_device_info(cl_device_id id, cl_device_info what, size_t size, void *to, size_t *size_ret) {
  (void)id;
  switch (what) {
  case CL_DEVICE_TYPE: return give_ulong(CL_DEVICE_TYPE_GPU, size, to, size_ret);
  case CL_DEVICE_VENDOR_ID: return give_uint(present->vendor_id, size, to, size_ret);
  case CL_DEVICE_MAX_COMPUTE_UNITS: return give_uint(present->compute_units, size, to, size_ret);
  case CL_DEVICE_MAX_CLOCK_FREQUENCY: return give_uint(1500, size, to, size_ret);
  case CL_DEVICE_ENDIAN_LITTLE:
  case CL_DEVICE_AVAILABLE:
  case CL_DEVICE_COMPILER_AVAILABLE: return give_uint(CL_TRUE, size, to, size_ret);
  case CL_DEVICE_SINGLE_FP_CONFIG: return give_ulong(CL_FP_DENORM | CL_FP_INF_NAN | CL_FP_FMA, size, to, size_ret);
  case CL_DEVICE_GLOBAL_MEM_SIZE: return give_ulong((cl_ulong)16 << 30, size, to, size_ret);
  case CL_DEVICE_MAX_MEM_ALLOC_SIZE: return give_ulong((cl_ulong)4 << 30, size, to, size_ret);
  case CL_DEVICE_LOCAL_MEM_SIZE: return give_ulong(present->local_memory, size, to, size_ret);
  case CL_DEVICE_MAX_WORK_GROUP_SIZE: return give(&present->max_work_group, sizeof(size_t), size, to, size_ret);
  case COMPUTE_CAPABILITY_MAJOR_NV:
  case COMPUTE_CAPABILITY_MINOR_NV: break;
  default: return get_device_text(what, size, to, size_ret);
  }
  if (!present->capability) return CL_INVALID_VALUE;
  const cl_uint capability = present->capability;
  return give_uint(what == COMPUTE_CAPABILITY_MAJOR_NV ? capability / 10 : capability % 10, size, to, size_ret);
}

static cl_context CL_API_CALL create_context(const cl_context_properties *properties, cl_uint count, const cl_device_id *ids,
                                             void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user,
                                             cl_int *code) {
  (void)properties, (void)count, (void)ids, (void)notify, (void)user;
  *code = CL_SUCCESS;
  return (cl_context)(void *)place;
}

static cl_program CL_API_CALL create_program(cl_context context, cl_uint count, const char **text, const size_t *lengths,
                                             cl_int *code) {
  (void)context;
  *code = CL_OUT_OF_RESOURCES;
  if (count != 1 || lengths || made_count == PRETEND_MAX_PROGRAMS) return NULL;
  pretend_program *program = calloc(1, sizeof *program);
  if (!program) exit(1);
  program->source = copy(text[0]);
  made[made_count++] = program;
  *code = CL_SUCCESS;
  return (cl_program)(void *)program;
}

/* A program that is made from one's binary is that one. */
static cl_program CL_API_CALL create_from_binary(cl_context context, cl_uint count, const cl_device_id *ids,
                                                 const size_t *sizes, const unsigned char **binaries, cl_int *accepted,
                                                 cl_int *code) {
  (void)context, (void)count, (void)ids, (void)sizes;
  const char *number = strstr((const char *)binaries[0], "program ");
  const size_t i = number ? strtoul(strchr(number, ' '), NULL, 10) : made_count;
  *accepted = *code = i < made_count ? CL_SUCCESS : CL_INVALID_BINARY;
  return i < made_count ? (cl_program)(void *)made[i] : NULL;
}

static cl_int CL_API_CALL build_program(cl_program handle, cl_uint count, const cl_device_id *ids, const char *options,
                                        void(CL_CALLBACK *notify)(cl_program, void *), void *user) {
  pretend_program *program = (pretend_program *)(void *)handle;
  (void)count, (void)ids, (void)notify, (void)user;
  if (program->options && strcmp(program->options, options) != 0) return CL_INVALID_BUILD_OPTIONS;
  if (!program->options) program->options = copy(options);
  return CL_SUCCESS;
}

static cl_int CL_API_CALL get_build_info(cl_program program, cl_device_id id, cl_program_build_info what, size_t size, void *to,
                                         size_t *size_ret) {
  (void)program, (void)id;
  return what == CL_PROGRAM_BUILD_LOG ? give_text("", size, to, size_ret) : CL_INVALID_VALUE;
}

/* A kernel is the place of its name in its program. */
static cl_kernel CL_API_CALL create_kernel(cl_program handle, const char *name, cl_int *code) {
  pretend_program *program = (pretend_program *)(void *)handle;
  *code = CL_SUCCESS;
  for (int i = 0; i < program->count; i++)
    if (!strcmp(program->kernels[i], name)) return (cl_kernel)(void *)program->kernels[i];
  if (program->count == PRETEND_MAX_KERNELS) exit(1);
  char *kernel = program->kernels[program->count++];
  snprintf(kernel, sizeof program->kernels[0], "%s", name);
  return (cl_kernel)(void *)kernel;
}

static pretend_program *program_of(const char *kernel) {
  for (size_t i = 0; i < made_count; i++)
    for (int k = 0; k < made[i]->count; k++)
      if (made[i]->kernels[k] == kernel) return made[i];
  return NULL;
}

static cl_int CL_API_CALL get_kernel_info(cl_kernel kernel, cl_kernel_info what, size_t size, void *to, size_t *size_ret) {
  const char *name = (const char *)(void *)kernel;
  const pretend_program *program = program_of(name);
  if (what == CL_KERNEL_FUNCTION_NAME) return give_text(name, size, to, size_ret);
  return what == CL_KERNEL_PROGRAM ? give(&program, sizeof program, size, to, size_ret) : CL_INVALID_VALUE;
}

static cl_int CL_API_CALL get_group_info(cl_kernel kernel, cl_device_id id, cl_kernel_work_group_info what, size_t size,
                                         void *to, size_t *size_ret) {
  (void)kernel, (void)id;
  if (what == CL_KERNEL_WORK_GROUP_SIZE) return give(&present->max_work_group, sizeof(size_t), size, to, size_ret);
  return CL_INVALID_VALUE;
}

static cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code) {
  (void)context, (void)flags, (void)size, (void)host;
  *code = CL_SUCCESS;
  return (cl_mem)(void *)place;
}

static cl_command_queue CL_API_CALL create_queue(cl_context context, cl_device_id id, cl_command_queue_properties properties,
                                                 cl_int *code) {
  (void)context, (void)id, (void)properties;
  *code = CL_SUCCESS;
  return (cl_command_queue)(void *)place;
}

/* Releasing, retaining, waiting: nothing is ever freed, the program ends soon. */
static cl_int CL_API_CALL keep(void *handle) {
  (void)handle;
  return CL_SUCCESS;
}

static cl_int CL_API_CALL set_argument(cl_kernel kernel, cl_uint index, size_t size, const void *value) {
  (void)kernel, (void)index, (void)size, (void)value;
  return CL_SUCCESS;
}

/* Plans rehearse launches, of nothing. */
static cl_int CL_API_CALL launch(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                 const size_t *global, const size_t *local, cl_uint count, const cl_event *wait_list,
                                 cl_event *event) {
  (void)queue, (void)kernel, (void)dimensions, (void)offset, (void)global, (void)local, (void)count, (void)wait_list;
  if (event) *event = (cl_event)(void *)place;
  return CL_SUCCESS;
}

static cl_int CL_API_CALL write_buffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
                                       const void *from, cl_uint count, const cl_event *wait_list, cl_event *event) {
  (void)queue, (void)buffer, (void)blocking, (void)offset, (void)size, (void)from, (void)count, (void)wait_list;
  if (event) *event = (cl_event)(void *)place;
  return CL_SUCCESS;
}

/* What launchers need of a binary is the text of one for NVIDIA (src/opencl/retarget.c). Here it says whose it is. */
static cl_int CL_API_CALL get_program_info(cl_program handle, cl_program_info what, size_t size, void *to, size_t *size_ret) {
  char binary[64];
  size_t i = 0;
  while ((void *)made[i] != (void *)handle) i++;
  snprintf(binary, sizeof binary, ".target sm_%u\n//@program %zu\n", (unsigned)present->capability, i);
  const size_t bytes = strlen(binary) + 1;
  const void *const device = place;
  switch (what) {
  case CL_PROGRAM_NUM_DEVICES: return give_uint(1, size, to, size_ret);
  case CL_PROGRAM_DEVICES: return give(&device, sizeof device, size, to, size_ret);
  case CL_PROGRAM_BINARY_SIZES: return give(&bytes, sizeof bytes, size, to, size_ret);
  case CL_PROGRAM_BINARIES: memcpy(*(void **)to, binary, bytes); return CL_SUCCESS;
  default: return CL_INVALID_VALUE;
  }
}

/* No plan calls the others while it is made. */
static cl_int CL_API_CALL refuse(void) {
  fprintf(stderr, "pretend: a function was called that only a device has\n");
  exit(1);
}

rwkv6_opencl_function pretend_lookup(void *device, const char *name) {
  static const struct {
    const char *name;
    rwkv6_opencl_function function;
  } functions[] = {
      {"clGetPlatformIDs", (rwkv6_opencl_function)get_platforms},
      {"clGetPlatformInfo", (rwkv6_opencl_function)get_platform_info},
      {"clGetDeviceIDs", (rwkv6_opencl_function)get_devices},
      {"clGetDeviceInfo", (rwkv6_opencl_function)get_device_info},
      {"clCreateContext", (rwkv6_opencl_function)create_context},
      {"clCreateProgramWithSource", (rwkv6_opencl_function)create_program},
      {"clCreateProgramWithBinary", (rwkv6_opencl_function)create_from_binary},
      {"clBuildProgram", (rwkv6_opencl_function)build_program},
      {"clGetProgramBuildInfo", (rwkv6_opencl_function)get_build_info},
      {"clCreateKernel", (rwkv6_opencl_function)create_kernel},
      {"clGetKernelInfo", (rwkv6_opencl_function)get_kernel_info},
      {"clGetKernelWorkGroupInfo", (rwkv6_opencl_function)get_group_info},
      {"clCreateBuffer", (rwkv6_opencl_function)create_buffer},
      {"clCreateCommandQueue", (rwkv6_opencl_function)create_queue},
      {"clSetKernelArg", (rwkv6_opencl_function)set_argument},
      {"clEnqueueNDRangeKernel", (rwkv6_opencl_function)launch},
      {"clEnqueueWriteBuffer", (rwkv6_opencl_function)write_buffer},
      {"clFinish", (rwkv6_opencl_function)keep},
      {"clGetProgramInfo", (rwkv6_opencl_function)get_program_info},
  };
  present = device;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (!strcmp(functions[i].name, name)) return functions[i].function;
  const int holds = !strncmp(name, "clRelease", 9) || !strncmp(name, "clRetain", 8);
  return holds ? (rwkv6_opencl_function)keep : (rwkv6_opencl_function)refuse;
}
