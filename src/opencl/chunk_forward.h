/* SPDX-License-Identifier: MIT */
/*
 * The launcher of cl/chunk_forward.cl and cl/chunk_states.cl. chunk_backward uses it as well: for the states, and for dv and
 * dinitial_state.
 */
#ifndef RWKV6_SRC_OPENCL_CHUNK_FORWARD_H
#define RWKV6_SRC_OPENCL_CHUNK_FORWARD_H

#include "opencl/launch.h"
#include "opencl/roles.h"
#include "opencl/units.h"

typedef enum rwkv6_cl_chunk_kernel {
  RWKV6_CL_CHUNK_FORWARD,
  RWKV6_CL_CHUNK_STATES, /* this and those behind it are the second program's */
  RWKV6_CL_CHUNK_SCAN,
  RWKV6_CL_CHUNK_KERNELS
} rwkv6_cl_chunk_kernel;

typedef struct rwkv6_cl_chunk {
  cl_kernel kernel[RWKV6_CL_CHUNK_KERNELS]; /* owned */
  const char *log;                          /* of the program that makes outputs */
  int local_limit;                          /* as the family says, or 0; set first */
  int work_group, lanes;
  int chunk, round; /* portable: tokens of a chunk, and those whose partial sums are in local memory at once */
  int sub_chunks;   /* for a matrix engine: of 16 tokens in a chunk */
  int64_t span;     /* steps between checkpoints, at least max(64, K, V) */
  int64_t tiles;    /* work-groups of one head of a unit */
  int each;         /* work-groups that a compute unit of a GPU wants */
  int splits_from;  /* forward: shortest segments of a sequence that is worth splitting */
  bool divides;     /* forward: batches in parts (parts.h) */
  int joins;        /* of how many units of a sequence outputs make the state before each themselves; 0: they do not know how */
  int64_t state_groups; /* work-groups of the scan for one head of a sequence */
} rwkv6_cl_chunk;

/* What launches go over: a batch, or a part of one. */
typedef struct rwkv6_cl_chunk_batch {
  rwkv6_cl_units units; /* owned */
  int pieces;           /* of each unit, for states, each with a sum and work-groups of its own; 1 unless outputs join them */
  rwkv6_cl_window outputs, states, scan; /* set by rwkv6_cl_chunk_windows */
} rwkv6_cl_chunk_batch;

/*
 * Programs with the kernels of chunk_forward.cl and of chunk_states.cl, their arguments and their meaning: portable, or for a
 * matrix engine. Two, because most plans need the first alone, and compilers take nearly as long for the second.
 */
typedef struct rwkv6_cl_chunk_family {
  const char *forward_file, *states_file;
  int (*local_limit)(const rwkv6_device *device); /* bytes of local memory to plan with; NULL: nothing depends on it */
  /* The largest to build for: rwkv6_cl_largest_work_group of the preferred one, or the only one that there is. */
  int (*work_group)(const rwkv6_device *device, const rwkv6_problem *problem);
  rwkv6_cl_options_function *options; /* fills the geometry of a rwkv6_cl_chunk; its span is a multiple of 16 */
  /* As in a variant. */
  bool (*supports)(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size);
} rwkv6_cl_chunk_family;

extern const rwkv6_cl_chunk_family rwkv6_cl_chunk_portable, rwkv6_cl_chunk_nvidia, rwkv6_cl_chunk_emulated;

/* Parts of the workspace, in bytes. */
typedef struct rwkv6_cl_chunk_places {
  uint64_t starts; /* [units, pieces, heads, K, V]: increments, then, not joined, the state before each unit; only if split */
  uint64_t decays; /* [units, pieces, heads, K] */
  uint64_t carry;  /* [carries, heads, K, V] */
  bool split;
  bool joined; /* outputs join the increments themselves: there is no scan */
} rwkv6_cl_chunk_places;

/* Whether a chunk length that the problem fixes fits the local memory; if not, `reason` says what does. */
bool rwkv6_cl_chunk_length_fits(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size);

/* Chooses the geometry and builds what makes outputs. `chunk` is released whatever is returned. */
rwkv6_status rwkv6_cl_chunk_make(rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_chunk_family *family,
                                 rwkv6_cl_chunk *chunk, rwkv6_error *error);
/* Builds what makes starts and checkpoints as well. Both have one geometry: it changes if this takes smaller work-groups. */
rwkv6_status rwkv6_cl_chunk_make_states(rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_chunk_family *family,
                                        rwkv6_cl_chunk *chunk, rwkv6_error *error);
void rwkv6_cl_chunk_release(const rwkv6_device *device, rwkv6_cl_chunk *chunk);
/* Chooses how launches are split, for `count` units of at most `longest` steps and the batch's pieces. */
void rwkv6_cl_chunk_windows(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk,
                            int64_t count, int64_t longest, rwkv6_cl_chunk_batch *batch);
/* Launches of rwkv6_cl_chunk_enqueue_outputs, and of rwkv6_cl_chunk_enqueue_starts where sequences are split. */
int64_t rwkv6_cl_chunk_output_launches(const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk,
                                       const rwkv6_cl_chunk_batch *batch);
int64_t rwkv6_cl_chunk_start_launches(const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk,
                                      const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places);

/* Leaves the state before each unit in places->starts, or, joined, increments. This and the next need
 * rwkv6_cl_chunk_make_states. */
rwkv6_status rwkv6_cl_chunk_enqueue_starts(const rwkv6_cl_chunk *chunk, const rwkv6_cl_roles *roles,
                                           const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places,
                                           const rwkv6_cl_call *call, rwkv6_error *error);
/* Leaves the state every span steps at byte `checkpoints`; starts have been enqueued if sequences are split. */
rwkv6_status rwkv6_cl_chunk_enqueue_checkpoints(const rwkv6_cl_chunk *chunk, const rwkv6_cl_roles *roles,
                                                const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places,
                                                uint64_t checkpoints, const rwkv6_cl_call *call, rwkv6_error *error);
/* o and final states; starts have been enqueued if sequences are split. */
rwkv6_status rwkv6_cl_chunk_enqueue_outputs(const rwkv6_cl_chunk *chunk, const rwkv6_cl_roles *roles,
                                            const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places,
                                            const rwkv6_cl_call *call, rwkv6_error *error);

/* What variants of chunk forward share but for the family: `create`, `destroy`. */
rwkv6_status rwkv6_cl_chunk_forward_create(rwkv6_plan *plan, const rwkv6_cl_chunk_family *family, rwkv6_error *error);
void rwkv6_cl_chunk_forward_destroy(rwkv6_plan *plan);

#endif
