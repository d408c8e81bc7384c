/* SPDX-License-Identifier: MIT */
/* Objects of the fake library, its own and those that a caller brings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_library.h"
#include "faults.h"

#define MAX_OBJECTS 4096
static fake_object objects[MAX_OBJECTS];
static size_t count;
static int alive;
static char misuse[128];

char fake_platform, fake_device;

void fake_note(const char *function, const char *what) {
  if (!misuse[0]) snprintf(misuse, sizeof misuse, "%s: %s", function, what);
}

int fake_opencl_alive(void) {
  return alive;
}

const char *fake_opencl_misuse(void) {
  return misuse[0] ? misuse : NULL;
}

fake_object *fake_create(fake_kind kind) {
  if (count == MAX_OBJECTS) abort();
  fake_object *made = &objects[count++];
  memset(made, 0, sizeof *made);
  made->kind = kind;
  made->references = 1;
  alive++;
  return made;
}

fake_object *fake_create_buffer(cl_context context, cl_mem_flags flags, size_t size) {
  fake_object *made = fake_create(BUFFER);
  made->context = context;
  made->flags = flags;
  made->size = size;
  made->bytes = faults_plain_calloc(1, size);
  return made;
}

fake_object *fake_check(const void *handle, fake_kind kind, const char *function) {
  const uintptr_t place = (uintptr_t)handle - (uintptr_t)objects;
  fake_object *found = (fake_object *)handle;
  if (place % sizeof *objects || place / sizeof *objects >= count) {
    fake_note(function, handle ? "a handle of no object" : "a NULL handle");
    return NULL;
  }
  if (found->kind == kind && found->references > 0) return found;
  fake_note(function, found->kind == kind ? "an object that has been released" : "an object of another kind");
  return NULL;
}

cl_int fake_release(const void *handle, fake_kind kind, const char *function, cl_int code) {
  fake_object *dying = fake_check(handle, kind, function);
  if (!dying || --dying->references > 0) return code;
  alive--;
  faults_plain_free(dying->bytes);
  dying->bytes = NULL;
  return code;
}

void fake_opencl_forget(void) {
  for (size_t i = 0; i < count; i++) faults_plain_free(objects[i].bytes);
  count = 0;
  alive = 0;
}

void fake_check_device(const void *handle, const char *function) {
  if (handle != &fake_device) fake_note(function, "another device");
}

cl_device_id fake_opencl_objects(size_t bytes, cl_context *context, cl_command_queue *queue, cl_mem *memory, cl_mem *workspace,
                                 cl_event *event) {
  *context = (cl_context)fake_create(CONTEXT);
  fake_object *made = fake_create(QUEUE);
  made->context = *context;
  made->properties = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
  *queue = (cl_command_queue)made;
  *memory = (cl_mem)fake_create_buffer(*context, CL_MEM_READ_WRITE, bytes);
  *workspace = (cl_mem)fake_create_buffer(*context, CL_MEM_READ_WRITE, bytes);
  made = fake_create(EVENT);
  made->context = *context;
  *event = (cl_event)made;
  return (cl_device_id)&fake_device;
}

void fake_opencl_release_event(cl_event event) {
  fake_release(event, EVENT, "releasing an event", CL_SUCCESS);
}

void fake_opencl_release_objects(cl_context context, cl_command_queue queue, cl_mem memory, cl_mem workspace, cl_event event) {
  fake_opencl_release_event(event);
  fake_release(workspace, BUFFER, "releasing the workspace", CL_SUCCESS);
  fake_release(memory, BUFFER, "releasing memory", CL_SUCCESS);
  fake_release(queue, QUEUE, "releasing a queue", CL_SUCCESS);
  fake_release(context, CONTEXT, "releasing a context", CL_SUCCESS);
}
