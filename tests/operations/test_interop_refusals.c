/* SPDX-License-Identifier: MIT */
/* What the calls of rwkv6/opencl.h refuse: the message names the argument and its value, and nothing has been enqueued. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../unit/refusal.h"
#include "opencl/interop.h"
#include "opencl_objects.h"

static test_devices devices;

/* A forward plan of two sequences in segments, so that it has a workspace, and good arguments for it. */
typedef struct fixture {
  opencl_objects o, foreign; /* foreign: another context on the same device */
  conform_data data;
  opencl_images images, good;
  rwkv6_plan *plan;
  uint64_t workspace;
  cl_uint wait_count;
  const cl_event *wait_list;
} fixture;

static void set_up(fixture *f, size_t device) {
  conform_case test = conform_case_make(300, 8, 8);
  test.sequences = 2;
  test.segment_length = 64;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  memset(f, 0, sizeof *f);
  opencl_objects_create(&f->o, devices.device[device], 0);
  opencl_objects_create(&f->foreign, devices.device[device], 0);
  conform_data_create(&f->data, &test, RWKV6_FORWARD, false);
  if (rwkv6_plan_create(f->o.device, &f->data.problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, &f->plan, &error))
    fail_msg("%s", error.message);
  assert_int_equal(rwkv6_plan_get_info(f->plan, &info, NULL), RWKV6_OK);
  f->workspace = info.workspace;
  assert_true(f->workspace > 0);
  opencl_images_create(&f->images, &f->o, &f->data, f->workspace);
  f->good = f->images;
}

/* Nothing has been written on the device. */
static void tear_down(fixture *f) {
  opencl_images_read(&f->good, &f->o, &f->data, NULL);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (conform_is_output(&f->data, id))
      for (int64_t i = 0; i < rwkv6_tensor_extent(&f->data.resolved, (rwkv6_tensor_id)id); i++)
        if (!conform_image_is_poison(&f->data.image[id], i))
          fail_msg("a refused call has written %s", rwkv6_tensor_table[id].name);
  opencl_images_destroy(&f->good, &f->o);
  conform_data_destroy(&f->data);
  rwkv6_plan_destroy(&f->plan);
  opencl_objects_destroy(&f->foreign);
  opencl_objects_destroy(&f->o);
}

static void refused_by(fixture *f, rwkv6_plan *plan, cl_command_queue queue, const char *argument, const char *value) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  cl_event event = (cl_event)(void *)f;
  const rwkv6_status status =
      rwkv6_opencl_enqueue(plan, queue, &f->images.tensors, f->wait_count, f->wait_list, &event, &error);
  check_refusal(status, &error, RWKV6_INVALID_ARGUMENT, argument, value);
  assert_ptr_equal(event, (cl_event)(void *)f);
  assert_int_equal(rwkv6_opencl_enqueue(plan, queue, &f->images.tensors, f->wait_count, f->wait_list, NULL, NULL),
                   RWKV6_INVALID_ARGUMENT);
}

/* Also puts the good arguments back. */
static void refused(fixture *f, const char *argument, const char *value) {
  refused_by(f, f->plan, f->o.queue, argument, value);
  f->images = f->good;
  f->wait_count = 0;
  f->wait_list = NULL;
}

static const char *tensor_name(int id) {
  static char name[64];
  snprintf(name, sizeof name, "tensors.%s", rwkv6_tensor_table[id].name);
  return name;
}

static void check_plan_and_queue(fixture *f) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *cpu;
  rwkv6_plan *plan;
  refused_by(f, NULL, f->o.queue, "plan", "NULL");
  assert_int_equal(rwkv6_device_open("cpu", NULL, &cpu, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_plan_create(cpu, &f->data.problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, &plan, NULL), RWKV6_OK);
  refused_by(f, plan, f->o.queue, "plan", "CPU path");
  check_refusal(rwkv6_opencl_device_objects(cpu, NULL, NULL, &error), &error, RWKV6_INVALID_ARGUMENT, "device", "CPU path");
  rwkv6_plan_destroy(&plan);
  rwkv6_device_close(&cpu);
  refused_by(f, f->plan, NULL, "queue", "NULL");
  refused_by(f, f->plan, f->foreign.queue, "queue", "another context");
  check_refusal(rwkv6_opencl_enqueue(f->plan, f->o.queue, NULL, 0, NULL, NULL, &error), &error, RWKV6_INVALID_ARGUMENT,
                "tensors", "NULL");
  f->images.tensors.size = 8;
  refused(f, "tensors.size", "8");
}

static void check_buffer(fixture *f, int id, cl_mem bad, const char *value) {
  opencl_tensor(&f->images.tensors, id)->buffer = bad;
  refused(f, tensor_name(id), value);
}

/* Each tensor in turn: missing, in a wrong place, of a wrong kind. */
static void check_tensors(fixture *f) {
  const cl_mem small = opencl_buffer(&f->foreign, CL_MEM_READ_WRITE, 1 << 20, NULL);
  const cl_mem read_only = opencl_buffer(&f->o, CL_MEM_READ_ONLY, 1 << 20, NULL);
  const cl_mem write_only = opencl_buffer(&f->o, CL_MEM_WRITE_ONLY, 1 << 20, NULL);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    rwkv6_opencl_tensor *tensor = opencl_tensor(&f->images.tensors, id);
    if (!f->good.buffer[id]) {
      check_buffer(f, id, read_only, "allowed: NULL");
      continue;
    }
    check_buffer(f, id, NULL, "NULL");
    check_buffer(f, id, small, "another context");
    const bool output = rwkv6_tensor_table[id].output;
    check_buffer(f, id, output ? read_only : write_only, output ? "CL_MEM_READ_ONLY" : "CL_MEM_WRITE_ONLY");
    tensor->offset = -1;
    refused(f, tensor_name(id), "-1");
    tensor->offset = INT64_MAX;
    refused(f, tensor_name(id), "9223372036854775807");
    tensor->offset += CONFORM_GUARD_ELEMENTS; /* fits to the last element */
    tensor->offset++;
    refused(f, tensor_name(id), "bytes from byte");
  }
  f->o.cl->ReleaseMemObject(small);
  f->o.cl->ReleaseMemObject(read_only);
  f->o.cl->ReleaseMemObject(write_only);
}

/* An image in the place of a tensor, where the device has images. */
static void check_image(fixture *f) {
  const cl_image_format format = {CL_RGBA, CL_FLOAT};
  const cl_image_desc description = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 256, .image_height = 256};
  cl_int code;
  const cl_mem image = f->o.extra.CreateImage(f->o.context, CL_MEM_READ_WRITE, &format, &description, NULL, &code);
  if (code) {
    printf("no images: %s\n", rwkv6_cl_error_name(code));
    return;
  }
  check_buffer(f, RWKV6_TENSOR_R, image, "image");
  check_buffer(f, RWKV6_TENSOR_O, image, "image");
  f->images.tensors.workspace = image;
  refused(f, "tensors.workspace", "image");
  f->o.cl->ReleaseMemObject(image);
}

static void check_overlaps(fixture *f) {
  rwkv6_opencl_tensors *t = &f->images.tensors;
  t->final_state = t->o;
  refused(f, "tensors.final_state", "overlaps");
  /* A sub-buffer is looked through. */
  const cl_buffer_region region = {4096, 4096};
  cl_int code;
  const cl_mem sub = f->o.extra.CreateSubBuffer(t->o.buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
  assert_int_equal(code, CL_SUCCESS);
  t->final_state.buffer = sub;
  t->final_state.offset = t->o.offset - 4096 / 4;
  refused(f, "tensors.final_state", "overlaps");
  t->final_state.buffer = sub;
  t->final_state.offset = 4096 / 4 - 100;
  refused(f, "tensors.final_state", "its buffer has 4096");
  f->o.cl->ReleaseMemObject(sub);
  /* Workspace and tensors out of one buffer. */
  const size_t bytes = (1 << 20) + f->workspace;
  const cl_mem arena = opencl_buffer(&f->o, CL_MEM_READ_WRITE, bytes, NULL);
  t->workspace = arena;
  t->workspace_offset = 0;
  t->o.buffer = arena;
  t->o.offset = (int64_t)f->workspace / 4 - 1;
  refused(f, "tensors.workspace", "overlaps");
  f->o.cl->ReleaseMemObject(arena);
}

static void check_workspace(fixture *f) {
  char text[32];
  snprintf(text, sizeof text, "%llu", (unsigned long long)f->workspace);
  f->images.tensors.workspace = NULL;
  refused(f, "tensors.workspace", text);
  f->images.tensors.workspace_offset = 4;
  refused(f, "tensors.workspace_offset", "4");
  f->images.tensors.workspace_offset = 768; /* 256 bytes short */
  refused(f, "tensors.workspace", text);
  f->images.tensors.workspace_offset = UINT64_MAX - 255;
  refused(f, "tensors.workspace", "18446744073709551360");
  const cl_mem read_only = opencl_buffer(&f->o, CL_MEM_READ_ONLY, 512 + (size_t)f->workspace, NULL);
  f->images.tensors.workspace = read_only;
  refused(f, "tensors.workspace", "CL_MEM_READ_ONLY");
  f->o.cl->ReleaseMemObject(read_only);
}

static void check_events(fixture *f) {
  cl_int code;
  const cl_event foreign = f->o.extra.CreateUserEvent(f->foreign.context, &code), none = NULL;
  f->wait_count = 1;
  refused(f, "wait_list", "wait_count 1");
  f->wait_list = &none;
  refused(f, "wait_list", "wait_count 0");
  f->wait_count = 1;
  f->wait_list = &none;
  refused(f, "wait_list[0]", "NULL");
  f->wait_count = 1;
  f->wait_list = &foreign;
  refused(f, "wait_list[0]", "another context");
  assert_int_equal(f->o.extra.SetUserEventStatus(foreign, CL_COMPLETE), CL_SUCCESS);
  f->o.cl->ReleaseEvent(foreign);
}

static void test_enqueue(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) {
    fixture f;
    set_up(&f, device);
    check_plan_and_queue(&f);
    check_tensors(&f);
    check_image(&f);
    check_overlaps(&f);
    check_workspace(&f);
    check_events(&f);
    tear_down(&f);
  }
}

static void test_wrap(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o, other;
    opencl_objects_create(&o, devices.device[device], 0);
    opencl_objects_create(&other, devices.device[(device + 1) % devices.count], 0);
    rwkv6_error error = RWKV6_ERROR_INIT;
    rwkv6_device *made = (rwkv6_device *)&error;
    rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
    check_refusal(rwkv6_opencl_device_wrap(NULL, o.id, NULL, &made, &error), &error, RWKV6_INVALID_ARGUMENT, "context", "NULL");
    assert_null(made);
    check_refusal(rwkv6_opencl_device_wrap(o.context, NULL, NULL, &made, &error), &error, RWKV6_INVALID_ARGUMENT, "device_id",
                  "NULL");
    check_refusal(rwkv6_opencl_device_wrap(o.context, o.id, NULL, NULL, &error), &error, RWKV6_INVALID_ARGUMENT, "device",
                  "NULL");
    options.size = 4;
    check_refusal(rwkv6_opencl_device_wrap(o.context, o.id, &options, &made, &error), &error, RWKV6_INVALID_ARGUMENT,
                  "options.size", "4");
    if (devices.count > 1)
      check_refusal(rwkv6_opencl_device_wrap(o.context, other.id, NULL, &made, &error), &error, RWKV6_INVALID_ARGUMENT,
                    "device_id", "not of the context");
    check_refusal(rwkv6_opencl_device_objects(NULL, NULL, NULL, &error), &error, RWKV6_INVALID_ARGUMENT, "device", "NULL");
    opencl_objects_destroy(&other);
    opencl_objects_destroy(&o);
  }
}

/* ------------------------------------------------------------------------------------------- checks that look at values */

enum { SLOTS = 3, SEQUENCES = 3, DIM = 4 };

/* `flags`: of the buffer of slots. */
static void enqueue_flags(const opencl_objects *o, rwkv6_plan *plan, const int32_t *slots, cl_mem_flags flags, float w,
                          const char *argument, const char *value) {
  float rows[SEQUENCES * DIM] = {0}, u[DIM] = {0}, w_rows[SEQUENCES * DIM], pool[SLOTS * DIM * DIM] = {0};
  for (int i = 0; i < SEQUENCES * DIM; i++) w_rows[i] = w;
  const cl_mem in = opencl_buffer(o, CL_MEM_READ_ONLY, sizeof rows, rows), decays = opencl_buffer(o, 0, sizeof w_rows, w_rows);
  const cl_mem bonus = opencl_buffer(o, 0, sizeof u, u), out = opencl_buffer(o, 0, sizeof rows, NULL);
  const cl_mem states = opencl_buffer(o, 0, sizeof pool, pool);
  const cl_mem places = opencl_buffer(o, flags, SEQUENCES * sizeof *slots, slots);
  rwkv6_opencl_tensors t = RWKV6_OPENCL_TENSORS_INIT;
  t.r.buffer = t.k.buffer = t.v.buffer = in;
  t.w.buffer = decays, t.u.buffer = bonus, t.o.buffer = out, t.pool.buffer = states, t.slots.buffer = places;
  rwkv6_error error = RWKV6_ERROR_INIT;
  const rwkv6_status status = rwkv6_opencl_enqueue(plan, o->queue, &t, 0, NULL, NULL, &error);
  if (argument)
    check_refusal(status, &error, RWKV6_INVALID_ARGUMENT, argument, value);
  else if (status)
    fail_msg("%s", error.message);
  assert_int_equal(o->cl->Finish(o->queue), CL_SUCCESS);
  const cl_mem all[] = {in, decays, bonus, out, states, places};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) o->cl->ReleaseMemObject(all[i]);
}

static void enqueue_slots(const opencl_objects *o, rwkv6_plan *plan, const int32_t *slots, float w, const char *argument,
                          const char *value) {
  enqueue_flags(o, plan, slots, 0, w, argument, value);
}

static rwkv6_plan *slots_plan(const opencl_objects *o, uint32_t checks) {
  rwkv6_problem problem;
  rwkv6_plan *plan;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_problem_init(&problem, sizeof problem, SEQUENCES, SEQUENCES, 1, DIM, DIM);
  problem.optional = RWKV6_STATE_POOL;
  problem.pool_slots = SLOTS;
  problem.checks = checks;
  if (rwkv6_plan_create(o->device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &error)) fail_msg("%s", error.message);
  return plan;
}

static void test_checked_values(void **state) {
  (void)state;
  static const int32_t good[] = {2, -1, 0}, large[] = {2, 3, 0}, negative[] = {2, 1, -2}, twice[] = {1, 0, 1};
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    rwkv6_plan *plan = slots_plan(&o, RWKV6_CHECK_SLOTS);
    enqueue_slots(&o, plan, good, -1, NULL, NULL);
    enqueue_slots(&o, plan, good, 1, NULL, NULL); /* w > 0 is not looked at */
    enqueue_slots(&o, plan, large, -1, "tensors.slots[1]", "3");
    enqueue_slots(&o, plan, negative, -1, "tensors.slots[2]", "-2");
    enqueue_slots(&o, plan, twice, -1, "tensors.slots[2]", "1, as that of an earlier");
    rwkv6_plan_destroy(&plan);
    plan = slots_plan(&o, RWKV6_CHECK_VALUES);
    enqueue_slots(&o, plan, good, -1, NULL, NULL);
    enqueue_slots(&o, plan, good, 1, "tensors.w", "1");
    enqueue_slots(&o, plan, good, NAN, "tensors.w", "nan");
    rwkv6_plan_destroy(&plan);
    plan = slots_plan(&o, 0); /* out of range counts as -1 */
    enqueue_slots(&o, plan, large, -1, NULL, NULL);
    enqueue_slots(&o, plan, negative, -1, NULL, NULL);
    rwkv6_plan_destroy(&plan);
    opencl_objects_destroy(&o);
  }
}

/* Slots that the host may not read cannot be looked at; unchecked they serve. */
static void test_slots_of_no_host(void **state) {
  (void)state;
  static const cl_mem_flags flags[] = {CL_MEM_HOST_NO_ACCESS, CL_MEM_HOST_WRITE_ONLY};
  static const char *const names[] = {"CL_MEM_HOST_NO_ACCESS", "CL_MEM_HOST_WRITE_ONLY"};
  static const int32_t good[] = {2, -1, 0};
  for (size_t device = 0; device < devices.count; device++)
    for (int i = 0; i < 2; i++) {
      opencl_objects o;
      opencl_objects_create(&o, devices.device[device], 0);
      for (int checks = 0; checks < 4; checks++) {
        rwkv6_plan *plan = slots_plan(&o, (uint32_t)checks); /* of VALUES (1) and SLOTS (2), any */
        enqueue_flags(&o, plan, good, flags[i], -1, checks ? "tensors.slots" : NULL, names[i]);
        rwkv6_plan_destroy(&plan);
      }
      opencl_objects_destroy(&o);
    }
}

/* ----------------------------------------------------------------------------------------------------------------- states */

static void test_states(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o, foreign;
    opencl_objects_create(&o, devices.device[device], 0);
    opencl_objects_create(&foreign, devices.device[device], 0);
    rwkv6_problem problem;
    rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, DIM, DIM);
    problem.pool_slots = SLOTS;
    const cl_mem buffer = opencl_buffer(&o, CL_MEM_READ_WRITE, SLOTS * DIM * DIM * sizeof(float), NULL);
    const cl_mem read_only = opencl_buffer(&o, CL_MEM_READ_ONLY, SLOTS * DIM * DIM * sizeof(float), NULL);
    const rwkv6_opencl_tensor pool = {buffer, 0}, none = {NULL, 0}, late = {buffer, 1}, before = {buffer, -1},
                              rom = {read_only, 0};
    rwkv6_error error = RWKV6_ERROR_INIT;
    float saved[DIM * DIM] = {0};
#define REFUSED(call, argument, value) check_refusal(call, &error, RWKV6_INVALID_ARGUMENT, argument, value)
#define ZERO(device_, problem_, queue_, pool_, slot_)                                                                          \
  rwkv6_opencl_state_zero(device_, problem_, queue_, pool_, slot_, 0, NULL, NULL, &error)
    REFUSED(ZERO(NULL, &problem, o.queue, pool, 0), "device", "NULL");
    REFUSED(ZERO(o.device, NULL, o.queue, pool, 0), "problem", "NULL");
    REFUSED(ZERO(o.device, &problem, NULL, pool, 0), "queue", "NULL");
    REFUSED(ZERO(o.device, &problem, foreign.queue, pool, 0), "queue", "another context");
    REFUSED(ZERO(foreign.device, &problem, foreign.queue, pool, 0), "pool", "another context");
    REFUSED(ZERO(o.device, &problem, o.queue, none, 0), "pool", "NULL");
    REFUSED(ZERO(o.device, &problem, o.queue, late, SLOTS - 1), "pool", "bytes from byte");
    REFUSED(ZERO(o.device, &problem, o.queue, before, 0), "pool.offset", "-1");
    REFUSED(ZERO(o.device, &problem, o.queue, rom, 0), "pool", "CL_MEM_READ_ONLY");
    REFUSED(ZERO(o.device, &problem, o.queue, pool, SLOTS), "slot", "3");
    REFUSED(ZERO(o.device, &problem, o.queue, pool, -1), "slot", "-1");
    problem.pool_slots = 0;
    REFUSED(ZERO(o.device, &problem, o.queue, pool, 0), "pool_slots", "0");
    problem.pool_slots = SLOTS;
    REFUSED(rwkv6_opencl_state_fork(o.device, &problem, o.queue, pool, 1, 1, 0, NULL, NULL, &error), "to", "1");
    REFUSED(rwkv6_opencl_state_fork(o.device, &problem, o.queue, pool, -1, 1, 0, NULL, NULL, &error), "from", "-1");
    REFUSED(rwkv6_opencl_state_fork(o.device, &problem, o.queue, pool, 1, 7, 0, NULL, NULL, &error), "to", "7");
    REFUSED(rwkv6_opencl_state_save(o.device, &problem, o.queue, pool, 1, NULL, 0, NULL, NULL, &error), "state", "NULL");
    REFUSED(rwkv6_opencl_state_load(o.device, &problem, o.queue, pool, 1, NULL, 0, NULL, NULL, &error), "state", "NULL");
    REFUSED(rwkv6_opencl_state_load(o.device, &problem, o.queue, rom, 1, saved, 0, NULL, NULL, &error), "pool",
            "CL_MEM_READ_ONLY");
    REFUSED(rwkv6_opencl_state_save(o.device, &problem, o.queue, pool, 1, saved, 1, NULL, NULL, &error), "wait_list",
            "wait_count 1");
    o.cl->ReleaseMemObject(buffer);
    o.cl->ReleaseMemObject(read_only);
    opencl_objects_destroy(&foreign);
    opencl_objects_destroy(&o);
  }
}

/* That a tensor is the member of its name: the tests of buffers take it for granted, as they ask the same function. */
static void test_members(void **state) {
  (void)state;
  const rwkv6_opencl_tensors t = RWKV6_OPENCL_TENSORS_INIT;
  const struct {
    const char *name;
    const rwkv6_opencl_tensor *member;
  } members[] = {{"r", &t.r},
                 {"k", &t.k},
                 {"v", &t.v},
                 {"w", &t.w},
                 {"u", &t.u},
                 {"o", &t.o},
                 {"do", &t.do_},
                 {"dr", &t.dr},
                 {"dk", &t.dk},
                 {"dv", &t.dv},
                 {"dw", &t.dw},
                 {"du", &t.du},
                 {"pool", &t.pool},
                 {"slots", &t.slots},
                 {"initial_state", &t.initial_state},
                 {"final_state", &t.final_state},
                 {"dinitial_state", &t.dinitial_state},
                 {"dfinal_state", &t.dfinal_state}};
  assert_int_equal(sizeof members / sizeof *members, RWKV6_TENSOR_COUNT);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    int i = 0;
    while (i < RWKV6_TENSOR_COUNT - 1 && strcmp(members[i].name, rwkv6_tensor_table[id].name) != 0) i++;
    assert_string_equal(members[i].name, rwkv6_tensor_table[id].name);
    assert_ptr_equal(rwkv6_interop_tensor(&t, (rwkv6_tensor_id)id), members[i].member);
  }
}

/* What the flags say of the host matters where states move from and to host memory, and nowhere else. */
static void check_flags_of_pool(const opencl_objects *o, cl_mem_flags flags, const char *save, const char *load) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, DIM, DIM);
  problem.pool_slots = SLOTS;
  const rwkv6_opencl_tensor pool = {opencl_buffer(o, flags, SLOTS * DIM * DIM * sizeof(float), NULL), 0};
  rwkv6_error error = RWKV6_ERROR_INIT;
  float saved[DIM * DIM] = {0};
  assert_int_equal(rwkv6_opencl_state_zero(o->device, &problem, o->queue, pool, 0, 0, NULL, NULL, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_opencl_state_fork(o->device, &problem, o->queue, pool, 0, 1, 0, NULL, NULL, NULL), RWKV6_OK);
  rwkv6_status status = rwkv6_opencl_state_save(o->device, &problem, o->queue, pool, 1, saved, 0, NULL, NULL, &error);
  if (save)
    check_refusal(status, &error, RWKV6_INVALID_ARGUMENT, "pool", save);
  else
    assert_int_equal(status, RWKV6_OK);
  assert_int_equal(o->cl->Finish(o->queue), CL_SUCCESS);
  status = rwkv6_opencl_state_load(o->device, &problem, o->queue, pool, 2, saved, 0, NULL, NULL, &error);
  if (load)
    check_refusal(status, &error, RWKV6_INVALID_ARGUMENT, "pool", load);
  else
    assert_int_equal(status, RWKV6_OK);
  assert_int_equal(o->cl->Finish(o->queue), CL_SUCCESS);
  o->cl->ReleaseMemObject(pool.buffer);
}

static void test_states_of_no_host(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    check_flags_of_pool(&o, CL_MEM_HOST_NO_ACCESS, "CL_MEM_HOST_NO_ACCESS", "CL_MEM_HOST_NO_ACCESS");
    check_flags_of_pool(&o, CL_MEM_HOST_WRITE_ONLY, "CL_MEM_HOST_WRITE_ONLY", NULL);
    check_flags_of_pool(&o, CL_MEM_HOST_READ_ONLY, NULL, "CL_MEM_HOST_READ_ONLY");
    opencl_objects_destroy(&o);
  }
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_members),           cmocka_unit_test(test_enqueue),          cmocka_unit_test(test_wrap),
      cmocka_unit_test(test_checked_values),    cmocka_unit_test(test_slots_of_no_host), cmocka_unit_test(test_states),
      cmocka_unit_test(test_states_of_no_host),
  };
  const int failed = cmocka_run_group_tests_name("refusals of interop calls", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
