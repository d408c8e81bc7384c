/* SPDX-License-Identifier: MIT */
/* What `rwkv6 bench` compares with: a copy, multiply-adds, and products in matrix units where a device has them. */

kernel void copy(global const uint4 *from, global uint4 *to) {
  const size_t i = get_global_id(0);
  to[i] = from[i];
}

/* 16 independent chains a work-item, STEPS multiply-adds each. */
#ifndef STEPS
#define STEPS 1024
#endif
kernel void multiply_add(global float *out, float factor) {
  float4 a = (float4)(0.1f, 0.2f, 0.3f, 0.4f) * (float)(get_global_id(0) + 1);
  float4 b = a + 1.0f, c = a + 2.0f, d = a + 3.0f;
  for (int i = 0; i < STEPS; i += 4) {
    a = a * factor + 0.5f, b = b * factor + 0.5f, c = c * factor + 0.5f, d = d * factor + 0.5f;
    a = a * factor + 0.5f, b = b * factor + 0.5f, c = c * factor + 0.5f, d = d * factor + 0.5f;
    a = a * factor + 0.5f, b = b * factor + 0.5f, c = c * factor + 0.5f, d = d * factor + 0.5f;
    a = a * factor + 0.5f, b = b * factor + 0.5f, c = c * factor + 0.5f, d = d * factor + 0.5f;
  }
  const float4 sum = a + b + c + d;
  out[get_global_id(0)] = sum.x + sum.y + sum.z + sum.w;
}

#ifdef NVIDIA_MATRIX
/* 8 independent products 16x8x16 of bf16 for each 32 work-items, STEPS times. The operands are numbers around 1, of both signs.
 */
kernel __attribute__((reqd_work_group_size(256, 1, 1))) void multiply_matrices(global float *out, uint seed) {
  float c[8][4];
  uint operand[6];
  uint bits = (uint)get_global_id(0) * 2654435761u + seed;
  for (int i = 0; i < 6; i++) {
    bits = bits * 1664525u + 1013904223u;
    operand[i] = (bits & 0x807f807fu) | 0x3f803f80u;
  }
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < 4; j++) c[i][j] = 0;
  for (int step = 0; step < STEPS; step++)
#pragma unroll
    for (int i = 0; i < 8; i++)
      asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                   : "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])
                   : "r"(operand[0]), "r"(operand[1]), "r"(operand[2]), "r"(operand[3]), "r"(operand[4]), "r"(operand[5]));
  float sum = 0;
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < 4; j++) sum += c[i][j];
  out[get_global_id(0)] = sum;
}
#endif
