/* SPDX-License-Identifier: MIT */
/* OpenCL objects of a test that embeds the library: context, queue, buffers made from images. */
#ifndef RWKV6_TESTS_OPERATIONS_OPENCL_OBJECTS_H
#define RWKV6_TESTS_OPERATIONS_OPENCL_OBJECTS_H

#include "each.h"
#include "opencl/loader.h"
#include "rwkv6/opencl.h"

/* Functions that the library itself does not use. */
typedef struct opencl_extra {
  cl_api_clCreateUserEvent CreateUserEvent;
  cl_api_clSetUserEventStatus SetUserEventStatus;
  cl_api_clCreateSubBuffer CreateSubBuffer;
  cl_api_clWaitForEvents WaitForEvents;
  cl_api_clFlush Flush;
  cl_api_clCreateImage CreateImage;
  cl_api_clCreateSubDevices CreateSubDevices;
  cl_api_clReleaseDevice ReleaseDevice;
} opencl_extra;

typedef struct opencl_objects {
  const rwkv6_cl_functions *cl;
  opencl_extra extra;
  cl_device_id id;
  cl_context context;
  cl_command_queue queue;
  rwkv6_device *device; /* wraps the context */
} opencl_objects;

/* A context and a queue of their own on the device of `like`; fails the test if it cannot. `properties` of the queue: if the
 * device does not take them, the queue is NULL. */
void opencl_objects_create(opencl_objects *objects, const rwkv6_device *like, cl_command_queue_properties properties);
void opencl_objects_destroy(opencl_objects *objects);
/* `check` on every device, with an in-order queue and, where there is such a one, with an out-of-order queue. */
void opencl_each_queue(const test_devices *devices, void (*check)(const opencl_objects *objects));

cl_mem opencl_buffer(const opencl_objects *objects, cl_mem_flags flags, size_t bytes, const void *data);

/* One buffer for each image, with guards and gaps, and a workspace of NaN. */
typedef struct opencl_images {
  cl_mem buffer[RWKV6_TENSOR_COUNT];
  rwkv6_opencl_tensors tensors;
} opencl_images;

void opencl_images_create(opencl_images *images, const opencl_objects *objects, const conform_data *data, uint64_t workspace);
/* Everything comes back into the images of `data`, once `event` is complete. */
void opencl_images_read(const opencl_images *images, const opencl_objects *objects, conform_data *data, cl_event event);
void opencl_images_destroy(opencl_images *images, const opencl_objects *objects);

/* The member of `tensors` for a tensor. */
rwkv6_opencl_tensor *opencl_tensor(rwkv6_opencl_tensors *tensors, int id);

#endif
