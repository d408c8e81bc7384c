/* SPDX-License-Identifier: MIT */
/* The calls of the fake library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_library.h"
#include "faults.h"

#define FAIL_IF_TOLD(name)                                                                                                     \
  if (fake_fails(FAKE_##name)) return fake_code
#define FAIL_CREATION_IF_TOLD(name)                                                                                            \
  if (fake_fails(FAKE_##name)) {                                                                                               \
    *code = fake_code;                                                                                                         \
    return NULL;                                                                                                               \
  }

/* The answer to a query. */
static cl_int answer(const void *value, size_t value_size, size_t size, void *to, size_t *size_ret) {
  if (size_ret) *size_ret = value_size;
  if (!to) return CL_SUCCESS;
  if (size < value_size) return CL_INVALID_VALUE;
  memcpy(to, value, value_size);
  return CL_SUCCESS;
}

static cl_int answer_text(const char *text, size_t size, void *to, size_t *size_ret) {
  return answer(text, strlen(text) + 1, size, to, size_ret);
}

typedef struct text {
  cl_uint what;
  const char *usual, *changed;
} text;

static const text texts[FAKE_TEXTS] = {
    {CL_PLATFORM_NAME, "Fake platform", "Another platform"},
    {CL_PLATFORM_VENDOR, "Nobody", "Somebody"},
    {CL_PLATFORM_VERSION, "OpenCL 1.2 fake", "OpenCL 1.2 fake, newer"},
    {CL_DEVICE_NAME, "Fake device", "Another device"},
    {CL_DEVICE_VENDOR, "Nobody", "Somebody"},
    {CL_DRIVER_VERSION, "1", "1.0"},
    {CL_DEVICE_VERSION, "OpenCL 1.2 fake", "OpenCL 1.2 fake, newer"},
    {CL_DEVICE_EXTENSIONS, "cl_khr_fp64", "cl_khr_fp64 cl_khr_fp16"},
};

/* NULL: `what` is no text. */
static const char *find_text(cl_uint what) {
  for (int i = 0; i < FAKE_TEXTS; i++)
    if (texts[i].what == what) return i + 1 == fake_changed_text ? texts[i].changed : texts[i].usual;
  return NULL;
}

static cl_int CL_API_CALL fake_GetPlatformIDs(cl_uint capacity, cl_platform_id *ids, cl_uint *number) {
  FAIL_IF_TOLD(GetPlatformIDs);
  if (number) *number = 1;
  if (ids && capacity) ids[0] = (cl_platform_id)&fake_platform;
  return CL_SUCCESS;
}

static cl_int CL_API_CALL fake_GetPlatformInfo(cl_platform_id id, cl_platform_info what, size_t size, void *to,
                                               size_t *size_ret) {
  FAIL_IF_TOLD(GetPlatformInfo);
  if ((void *)id != &fake_platform) fake_note("clGetPlatformInfo", "another platform");
  const char *found = find_text(what);
  return found ? answer_text(found, size, to, size_ret) : CL_INVALID_VALUE;
}

static cl_int CL_API_CALL fake_GetDeviceIDs(cl_platform_id id, cl_device_type type, cl_uint capacity, cl_device_id *ids,
                                            cl_uint *number) {
  FAIL_IF_TOLD(GetDeviceIDs);
  if ((void *)id != &fake_platform || type != CL_DEVICE_TYPE_ALL) fake_note("clGetDeviceIDs", "another platform or type");
  if (number) *number = 1;
  if (ids && capacity) ids[0] = (cl_device_id)&fake_device;
  return CL_SUCCESS;
}

/* cl_nv_device_attribute_query */
#define COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define COMPUTE_CAPABILITY_MINOR_NV 0x4001

/* What only an NVIDIA GPU says; elsewhere these are numbers like others. */
static cl_uint number_of(cl_device_info what) {
  switch (fake_compute_capability ? what : 0) {
  case CL_DEVICE_VENDOR_ID: return 0x10de;
  case COMPUTE_CAPABILITY_MAJOR_NV: return (cl_uint)fake_compute_capability / 10;
  case COMPUTE_CAPABILITY_MINOR_NV: return (cl_uint)fake_compute_capability % 10;
  default: return 8;
  }
}

static cl_int answer_number(cl_device_info what, size_t size, void *to, size_t *size_ret) {
  const cl_uint uint = what == CL_DEVICE_ADDRESS_BITS ? 64 : what == CL_DEVICE_ENDIAN_LITTLE ? 1 : number_of(what);
  const cl_ulong ulong = what == CL_DEVICE_TYPE ? CL_DEVICE_TYPE_GPU : what == CL_DEVICE_LOCAL_MEM_SIZE ? 65536 : 1 << 30;
  const size_t words = 1024;
  const void *const handle = &fake_platform;
  switch (what) {
  case CL_DEVICE_TYPE:
  case CL_DEVICE_SINGLE_FP_CONFIG:
  case CL_DEVICE_GLOBAL_MEM_SIZE:
  case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
  case CL_DEVICE_LOCAL_MEM_SIZE: return answer(&ulong, sizeof ulong, size, to, size_ret);
  case CL_DEVICE_MAX_WORK_GROUP_SIZE: return answer(&words, sizeof words, size, to, size_ret);
  case CL_DEVICE_PLATFORM: return answer(&handle, sizeof handle, size, to, size_ret);
  default: return answer(&uint, sizeof uint, size, to, size_ret);
  }
}

static cl_int CL_API_CALL fake_GetDeviceInfo(cl_device_id id, cl_device_info what, size_t size, void *to, size_t *size_ret) {
  FAIL_IF_TOLD(GetDeviceInfo);
  fake_check_device(id, "clGetDeviceInfo");
  const char *found = find_text(what);
  return found ? answer_text(found, size, to, size_ret) : answer_number(what, size, to, size_ret);
}

typedef void(CL_CALLBACK *context_notify)(const char *, const void *, size_t, void *);

static cl_context CL_API_CALL fake_CreateContext(const cl_context_properties *properties, cl_uint number,
                                                 const cl_device_id *devices, context_notify notify, void *user, cl_int *code) {
  (void)properties, (void)notify, (void)user;
  FAIL_CREATION_IF_TOLD(CreateContext)
  if (number != 1) fake_note("clCreateContext", "not one device");
  fake_check_device(devices[0], "clCreateContext");
  *code = CL_SUCCESS;
  return (cl_context)fake_create(CONTEXT);
}

static cl_int CL_API_CALL fake_RetainContext(cl_context context) {
  FAIL_IF_TOLD(RetainContext);
  fake_object *of = fake_check(context, CONTEXT, "clRetainContext");
  if (of) of->references++;
  return CL_SUCCESS;
}

static cl_int CL_API_CALL fake_GetContextInfo(cl_context context, cl_context_info what, size_t size, void *to,
                                              size_t *size_ret) {
  FAIL_IF_TOLD(GetContextInfo);
  const void *const handle = &fake_device;
  fake_check(context, CONTEXT, "clGetContextInfo");
  return what == CL_CONTEXT_DEVICES ? answer(&handle, sizeof handle, size, to, size_ret) : CL_INVALID_VALUE;
}

static cl_command_queue CL_API_CALL fake_CreateCommandQueue(cl_context context, cl_device_id id,
                                                            cl_command_queue_properties properties, cl_int *code) {
  FAIL_CREATION_IF_TOLD(CreateCommandQueue)
  fake_check(context, CONTEXT, "clCreateCommandQueue");
  fake_check_device(id, "clCreateCommandQueue");
  *code = CL_SUCCESS;
  fake_object *made = fake_create(QUEUE);
  made->context = context;
  made->properties = properties;
  return (cl_command_queue)made;
}

static cl_int CL_API_CALL fake_GetCommandQueueInfo(cl_command_queue queue, cl_command_queue_info what, size_t size, void *to,
                                                   size_t *size_ret) {
  FAIL_IF_TOLD(GetCommandQueueInfo);
  const fake_object *of = fake_check(queue, QUEUE, "clGetCommandQueueInfo");
  const void *const handle = &fake_device;
  if (!of) return CL_INVALID_COMMAND_QUEUE;
  switch (what) {
  case CL_QUEUE_CONTEXT: return answer(&of->context, sizeof of->context, size, to, size_ret);
  case CL_QUEUE_DEVICE: return answer(&handle, sizeof handle, size, to, size_ret);
  case CL_QUEUE_PROPERTIES: return answer(&of->properties, sizeof of->properties, size, to, size_ret);
  default: return CL_INVALID_VALUE;
  }
}

static cl_mem CL_API_CALL fake_CreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code) {
  FAIL_CREATION_IF_TOLD(CreateBuffer)
  fake_check(context, CONTEXT, "clCreateBuffer");
  if (!size || !(flags & CL_MEM_COPY_HOST_PTR) != !host) fake_note("clCreateBuffer", "size 0, or host memory without its flag");
  fake_object *made = fake_create_buffer(context, flags, size);
  if (host) memcpy(made->bytes, host, size);
  *code = CL_SUCCESS;
  return (cl_mem)made;
}

static cl_int CL_API_CALL fake_GetMemObjectInfo(cl_mem buffer, cl_mem_info what, size_t size, void *to, size_t *size_ret) {
  FAIL_IF_TOLD(GetMemObjectInfo);
  const fake_object *of = fake_check(buffer, BUFFER, "clGetMemObjectInfo");
  const cl_mem_object_type type = CL_MEM_OBJECT_BUFFER;
  const void *const none = NULL;
  if (!of) return CL_INVALID_MEM_OBJECT;
  switch (what) {
  case CL_MEM_CONTEXT: return answer(&of->context, sizeof of->context, size, to, size_ret);
  case CL_MEM_TYPE: return answer(&type, sizeof type, size, to, size_ret);
  case CL_MEM_FLAGS: return answer(&of->flags, sizeof of->flags, size, to, size_ret);
  case CL_MEM_SIZE: return answer(&of->size, sizeof of->size, size, to, size_ret);
  case CL_MEM_ASSOCIATED_MEMOBJECT: return answer(&none, sizeof none, size, to, size_ret);
  default: return CL_INVALID_VALUE;
  }
}

static const char first_binary[] = "a binary of the fake library";
static const void *compiled = first_binary;
static size_t compiled_size = sizeof first_binary;
static const fake_object *last_built;

void fake_opencl_set_binary(const void *binary, size_t size) {
  compiled = binary ? binary : first_binary;
  compiled_size = binary ? size : sizeof first_binary;
}

const char *fake_opencl_built(const void **binary, size_t *size) {
  *binary = last_built->binary ? last_built->bytes : NULL;
  *size = last_built->size;
  return last_built->options;
}

static fake_object *create_program(const void *binary, size_t size) {
  fake_object *made = fake_create(PROGRAM);
  made->bytes = faults_plain_calloc(1, size);
  made->size = size;
  memcpy(made->bytes, binary, size);
  return made;
}

static cl_program CL_API_CALL fake_CreateProgramWithSource(cl_context context, cl_uint number, const char **sources,
                                                           const size_t *lengths, cl_int *code) {
  FAIL_CREATION_IF_TOLD(CreateProgramWithSource)
  fake_check(context, CONTEXT, "clCreateProgramWithSource");
  if (number != 1 || lengths || !strstr(sources[0], "kernel")) fake_note("clCreateProgramWithSource", "no source");
  *code = CL_SUCCESS;
  return (cl_program)create_program(compiled, compiled_size);
}

static cl_program CL_API_CALL fake_CreateProgramWithBinary(cl_context context, cl_uint number, const cl_device_id *devices,
                                                           const size_t *sizes, const unsigned char **binaries, cl_int *status,
                                                           cl_int *code) {
  FAIL_CREATION_IF_TOLD(CreateProgramWithBinary)
  fake_check(context, CONTEXT, "clCreateProgramWithBinary");
  if (number != 1) fake_note("clCreateProgramWithBinary", "not one device");
  fake_check_device(devices[0], "clCreateProgramWithBinary");
  const bool refused = sizes[0] > 0 && binaries[0][sizes[0] - 1] == '!';
  const bool good =
      compiled != first_binary ? !refused : sizes[0] == compiled_size && memcmp(binaries[0], compiled, compiled_size) == 0;
  *code = status[0] = good ? CL_SUCCESS : CL_INVALID_BINARY;
  fake_object *made = good ? create_program(binaries[0], sizes[0]) : NULL;
  if (made) made->binary = true;
  return (cl_program)made;
}

typedef void(CL_CALLBACK *program_notify)(cl_program, void *);

static cl_int CL_API_CALL fake_BuildProgram(cl_program program, cl_uint number, const cl_device_id *devices,
                                            const char *options, program_notify notify, void *user) {
  (void)notify, (void)user;
  fake_object *building = fake_check(program, PROGRAM, "clBuildProgram");
  if (fake_fails_as(FAKE_BuildProgram, building && building->binary ? "clBuildProgram of a binary" : "clBuildProgram"))
    return fake_code;
  if (number != 1 || !strstr(options, "-DKEY_DIM=")) fake_note("clBuildProgram", "not one device, or no options");
  fake_check_device(devices[0], "clBuildProgram");
  const char *work_group = strstr(options, "-DWORK_GROUP=");
  if (!building) return CL_INVALID_PROGRAM;
  if (fake_refused && strstr(options, fake_refused)) return CL_BUILD_PROGRAM_FAILURE;
  building->built = true;
  snprintf(building->options, sizeof building->options, "%s", options);
  if (work_group) building->work_group = strtoul(strchr(work_group, '=') + 1, NULL, 10);
  last_built = building;
  return CL_SUCCESS;
}

static cl_int CL_API_CALL fake_GetProgramInfo(cl_program program, cl_program_info what, size_t size, void *to,
                                              size_t *size_ret) {
  FAIL_IF_TOLD(GetProgramInfo);
  const fake_object *of = fake_check(program, PROGRAM, "clGetProgramInfo");
  if (!of) return CL_INVALID_PROGRAM;
  const cl_uint one = 1;
  const void *const handle = &fake_device;
  switch (what) {
  case CL_PROGRAM_NUM_DEVICES: return answer(&one, sizeof one, size, to, size_ret);
  case CL_PROGRAM_DEVICES: return answer(&handle, sizeof handle, size, to, size_ret);
  case CL_PROGRAM_BINARY_SIZES: return answer(&of->size, sizeof of->size, size, to, size_ret);
  case CL_PROGRAM_BINARIES:
    if (to && *(void **)to) memcpy(*(void **)to, of->bytes, of->size);
    return CL_SUCCESS;
  default: return CL_INVALID_VALUE;
  }
}

static cl_int CL_API_CALL fake_GetProgramBuildInfo(cl_program program, cl_device_id id, cl_program_build_info what, size_t size,
                                                   void *to, size_t *size_ret) {
  FAIL_IF_TOLD(GetProgramBuildInfo);
  fake_check(program, PROGRAM, "clGetProgramBuildInfo");
  fake_check_device(id, "clGetProgramBuildInfo");
  return what == CL_PROGRAM_BUILD_LOG ? answer_text("a build log", size, to, size_ret) : CL_INVALID_VALUE;
}

static cl_kernel CL_API_CALL fake_CreateKernel(cl_program program, const char *name, cl_int *code) {
  const fake_object *of = fake_check(program, PROGRAM, "clCreateKernel");
  if (fake_fails_as(FAKE_CreateKernel, of && of->binary ? "clCreateKernel of a binary" : "clCreateKernel")) {
    *code = fake_code;
    return NULL;
  }
  if (!name[0] || !of || !of->built) fake_note("clCreateKernel", "a program that is not built");
  *code = CL_SUCCESS;
  fake_object *made = fake_create(KERNEL);
  made->program = program;
  made->work_group = of ? of->work_group : 0;
  snprintf(made->name, sizeof made->name, "%s", name);
  return (cl_kernel)made;
}

static cl_int CL_API_CALL fake_GetKernelInfo(cl_kernel kernel, cl_kernel_info what, size_t size, void *to, size_t *size_ret) {
  FAIL_IF_TOLD(GetKernelInfo);
  const fake_object *of = fake_check(kernel, KERNEL, "clGetKernelInfo");
  if (!of) return CL_INVALID_KERNEL;
  if (what == CL_KERNEL_FUNCTION_NAME) return answer_text(of->name, size, to, size_ret);
  return what == CL_KERNEL_PROGRAM ? answer(&of->program, sizeof of->program, size, to, size_ret) : CL_INVALID_VALUE;
}

static cl_int CL_API_CALL fake_SetKernelArg(cl_kernel kernel, cl_uint index, size_t size, const void *value) {
  FAIL_IF_TOLD(SetKernelArg);
  fake_check(kernel, KERNEL, "clSetKernelArg");
  if (index > 64 || !size || !value) fake_note("clSetKernelArg", "a strange argument");
  return CL_SUCCESS;
}

static cl_int CL_API_CALL fake_GetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id id, cl_kernel_work_group_info what,
                                                      size_t size, void *to, size_t *size_ret) {
  FAIL_IF_TOLD(GetKernelWorkGroupInfo);
  const fake_object *of = fake_check(kernel, KERNEL, "clGetKernelWorkGroupInfo");
  fake_check_device(id, "clGetKernelWorkGroupInfo");
  const size_t limit = of ? fake_work_group(of->name) : 0;
  return what == CL_KERNEL_WORK_GROUP_SIZE ? answer(&limit, sizeof limit, size, to, size_ret) : CL_INVALID_VALUE;
}

static void check_range(cl_mem buffer, size_t offset, size_t size, const char *function) {
  const fake_object *of = fake_check(buffer, BUFFER, function);
  if (of && (offset > of->size || size > of->size - offset)) fake_note(function, "beyond the end of the buffer");
}

/* Checks the wait list of a command, makes its event. */
static cl_int events(cl_command_queue queue, cl_uint waits, const cl_event *wait, cl_event *event, const char *function) {
  if (!waits != !wait) fake_note(function, "a wait list without events, or events without a list");
  for (cl_uint i = 0; i < waits && wait; i++) fake_check(wait[i], EVENT, function);
  if (!event) return CL_SUCCESS;
  fake_object *made = fake_create(EVENT);
  made->context = ((fake_object *)(void *)queue)->context;
  *event = (cl_event)made;
  return CL_SUCCESS;
}

static cl_int CL_API_CALL fake_GetEventInfo(cl_event event, cl_event_info what, size_t size, void *to, size_t *size_ret) {
  FAIL_IF_TOLD(GetEventInfo);
  const fake_object *of = fake_check(event, EVENT, "clGetEventInfo");
  if (!of) return CL_INVALID_EVENT;
  return what == CL_EVENT_CONTEXT ? answer(&of->context, sizeof of->context, size, to, size_ret) : CL_INVALID_VALUE;
}

static cl_int CL_API_CALL fake_EnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                                                 size_t size, void *to, cl_uint waits, const cl_event *wait, cl_event *event) {
  fake_check_blocking(blocking, FAKE_EnqueueReadBuffer);
  FAIL_IF_TOLD(EnqueueReadBuffer);
  fake_check(queue, QUEUE, "clEnqueueReadBuffer");
  check_range(buffer, offset, size, "clEnqueueReadBuffer");
  memcpy(to, ((fake_object *)(void *)buffer)->bytes + offset, size);
  return events(queue, waits, wait, event, "clEnqueueReadBuffer");
}

static cl_int CL_API_CALL fake_EnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                                                  size_t size, const void *from, cl_uint waits, const cl_event *wait,
                                                  cl_event *event) {
  fake_check_blocking(blocking, FAKE_EnqueueWriteBuffer);
  FAIL_IF_TOLD(EnqueueWriteBuffer);
  fake_check(queue, QUEUE, "clEnqueueWriteBuffer");
  check_range(buffer, offset, size, "clEnqueueWriteBuffer");
  memcpy(((fake_object *)(void *)buffer)->bytes + offset, from, size);
  return events(queue, waits, wait, event, "clEnqueueWriteBuffer");
}

static cl_int CL_API_CALL fake_EnqueueFillBuffer(cl_command_queue queue, cl_mem buffer, const void *pattern,
                                                 size_t pattern_size, size_t offset, size_t size, cl_uint waits,
                                                 const cl_event *wait, cl_event *event) {
  FAIL_IF_TOLD(EnqueueFillBuffer);
  fake_check(queue, QUEUE, "clEnqueueFillBuffer");
  check_range(buffer, offset, size, "clEnqueueFillBuffer");
  if (!pattern || !pattern_size || offset % pattern_size || size % pattern_size)
    fake_note("clEnqueueFillBuffer", "a strange pattern");
  return events(queue, waits, wait, event, "clEnqueueFillBuffer");
}

static cl_int CL_API_CALL fake_EnqueueCopyBuffer(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset,
                                                 size_t to_offset, size_t size, cl_uint waits, const cl_event *wait,
                                                 cl_event *event) {
  FAIL_IF_TOLD(EnqueueCopyBuffer);
  fake_check(queue, QUEUE, "clEnqueueCopyBuffer");
  check_range(from, from_offset, size, "clEnqueueCopyBuffer");
  check_range(to, to_offset, size, "clEnqueueCopyBuffer");
  return events(queue, waits, wait, event, "clEnqueueCopyBuffer");
}

static cl_int CL_API_CALL fake_EnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                                                    const size_t *offset, const size_t *global, const size_t *local,
                                                    cl_uint waits, const cl_event *wait, cl_event *event) {
  FAIL_IF_TOLD(EnqueueNDRangeKernel);
  fake_check(queue, QUEUE, "clEnqueueNDRangeKernel");
  const fake_object *of = fake_check(kernel, KERNEL, "clEnqueueNDRangeKernel");
  /* sum_du takes any work-group */
  const bool fits = of && local[0] <= fake_work_group(of->name) && (local[0] == of->work_group || !strcmp(of->name, "sum_du"));
  if (dimensions != 1 || offset || !local[0] || !fits || !global[0] || global[0] % local[0])
    fake_note("clEnqueueNDRangeKernel", "a strange size");
  return events(queue, waits, wait, event, "clEnqueueNDRangeKernel");
}

static cl_int CL_API_CALL fake_Finish(cl_command_queue queue) {
  fake_check(queue, QUEUE, "clFinish");
  FAIL_IF_TOLD(Finish);
  return CL_SUCCESS;
}

/* An object is gone even if the call says that it failed: nobody could do better than to forget it. */
#define RELEASE(name, type, kind)                                                                                              \
  static cl_int CL_API_CALL fake_##name(type handle) {                                                                         \
    return fake_release(handle, kind, "cl" #name, fake_fails(FAKE_##name) ? fake_code : CL_SUCCESS);                           \
  }
RELEASE(ReleaseContext, cl_context, CONTEXT)
RELEASE(ReleaseCommandQueue, cl_command_queue, QUEUE)
RELEASE(ReleaseMemObject, cl_mem, BUFFER)
RELEASE(ReleaseProgram, cl_program, PROGRAM)
RELEASE(ReleaseKernel, cl_kernel, KERNEL)
RELEASE(ReleaseEvent, cl_event, EVENT)

#define ENTRY(name) (rwkv6_opencl_function) fake_##name,
const rwkv6_opencl_function fake_calls[FAKE_FUNCTIONS] = {RWKV6_CL_FUNCTIONS(ENTRY)};
