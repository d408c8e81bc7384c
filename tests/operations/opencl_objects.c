/* SPDX-License-Identifier: MIT */
#include "opencl_objects.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/interop.h"

static void find(void *library, const char *name, void *function, size_t size) {
  void *symbol = dlsym(library, name);
  assert_non_null(symbol);
  memcpy(function, &symbol, size);
}

static void find_extra(opencl_extra *extra, void *library) {
#define FIND(name) find(library, "cl" #name, &extra->name, sizeof extra->name)
  FIND(CreateUserEvent);
  FIND(SetUserEventStatus);
  FIND(CreateSubBuffer);
  FIND(WaitForEvents);
  FIND(Flush);
  FIND(CreateImage);
  FIND(CreateSubDevices);
  FIND(ReleaseDevice);
#undef FIND
}

void opencl_objects_create(opencl_objects *o, const rwkv6_device *like, cl_command_queue_properties properties) {
  static const char library_name[] = "libOpenCL.so.1";
  memset(o, 0, sizeof *o);
  o->cl = rwkv6_cl_functions_get(NULL);
  void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL); /* open already; stays open */
  assert_non_null(library);
  find_extra(&o->extra, library);
  rwkv6_error error = RWKV6_ERROR_INIT;
  if (rwkv6_opencl_device_objects(like, NULL, &o->id, &error)) fail_msg("%s", error.message);
  cl_int code;
  o->context = o->cl->CreateContext(NULL, 1, &o->id, NULL, NULL, &code);
  assert_int_equal(code, CL_SUCCESS);
  o->queue = o->cl->CreateCommandQueue(o->context, o->id, properties, &code);
  if (code) o->queue = NULL;
  assert_true(o->queue || properties);
  if (rwkv6_opencl_device_wrap(o->context, o->id, NULL, &o->device, &error)) fail_msg("%s", error.message);
}

void opencl_objects_destroy(opencl_objects *o) {
  rwkv6_device_close(&o->device);
  if (o->queue) o->cl->ReleaseCommandQueue(o->queue);
  o->cl->ReleaseContext(o->context);
}

void opencl_each_queue(const test_devices *devices, void (*check)(const opencl_objects *objects)) {
  static const cl_command_queue_properties orders[] = {0, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE};
  for (size_t device = 0; device < devices->count; device++)
    for (int i = 0; i < 2; i++) {
      opencl_objects objects;
      opencl_objects_create(&objects, devices->device[device], orders[i]);
      if (objects.queue) check(&objects);
      opencl_objects_destroy(&objects);
    }
}

cl_mem opencl_buffer(const opencl_objects *o, cl_mem_flags flags, size_t bytes, const void *data) {
  cl_int code;
  const cl_mem buffer =
      o->cl->CreateBuffer(o->context, flags | (data ? CL_MEM_COPY_HOST_PTR : 0), bytes, (void *)(uintptr_t)data, &code);
  assert_int_equal(code, CL_SUCCESS);
  return buffer;
}

static size_t image_bytes(const conform_image *image) {
  return image->elements * rwkv6_dtype_size(image->dtype);
}

rwkv6_opencl_tensor *opencl_tensor(rwkv6_opencl_tensors *tensors, int id) {
  return (rwkv6_opencl_tensor *)(uintptr_t)rwkv6_interop_tensor(tensors, (rwkv6_tensor_id)id);
}

void opencl_images_create(opencl_images *images, const opencl_objects *objects, const conform_data *data, uint64_t workspace) {
  const rwkv6_opencl_tensors none = RWKV6_OPENCL_TENSORS_INIT;
  memset(images, 0, sizeof *images);
  images->tensors = none;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    const conform_image *image = &data->image[id];
    if (!image->memory) continue;
    /* As strict as a caller may be. */
    const cl_mem_flags flags = rwkv6_tensor_table[id].output ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY;
    images->buffer[id] = opencl_buffer(objects, flags, image_bytes(image), image->memory);
    opencl_tensor(&images->tensors, id)->buffer = images->buffer[id];
    opencl_tensor(&images->tensors, id)->offset = (int64_t)image->origin;
  }
  if (!workspace) return;
  const size_t bytes = 512 + (size_t)workspace; /* begins in the middle, ends at the end */
  void *garbage = malloc(bytes);
  assert_non_null(garbage);
  memset(garbage, 0xff, bytes);
  images->tensors.workspace = opencl_buffer(objects, CL_MEM_READ_WRITE, bytes, garbage);
  images->tensors.workspace_offset = 512;
  free(garbage);
}

void opencl_images_read(const opencl_images *images, const opencl_objects *o, conform_data *data, cl_event event) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    conform_image *image = &data->image[id];
    if (!images->buffer[id]) continue;
    assert_int_equal(o->cl->EnqueueReadBuffer(o->queue, images->buffer[id], CL_TRUE, 0, image_bytes(image), image->memory,
                                              event ? 1 : 0, event ? &event : NULL, NULL),
                     CL_SUCCESS);
  }
}

void opencl_images_destroy(opencl_images *images, const opencl_objects *objects) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (images->buffer[id]) objects->cl->ReleaseMemObject(images->buffer[id]);
  if (images->tensors.workspace) objects->cl->ReleaseMemObject(images->tensors.workspace);
}
