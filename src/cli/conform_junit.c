/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/conform.h"

/* Text between tags or quotes of XML, which has no way at all to write most control characters. */
static void put(FILE *file, const char *text) {
  for (; *text; text++) {
    const unsigned char c = (unsigned char)*text;
    switch (c) {
    case '&': fputs("&amp;", file); break;
    case '<': fputs("&lt;", file); break;
    case '>': fputs("&gt;", file); break;
    case '"': fputs("&quot;", file); break;
    case '\n': fputs("&#10;", file); break;
    default: fputc(c < 32 && c != '\t' ? '?' : c, file);
    }
  }
}

static void put_property(FILE *file, const char *name, const char *value) {
  fprintf(file, "      <property name=\"%s\" value=\"", name);
  put(file, value);
  fputs("\"/>\n", file);
}

static void put_record(FILE *file, const cli_conform_record *record) {
  fprintf(file, "    <testcase classname=\"%s.", record->operation);
  put(file, record->variant);
  fputs("\" name=\"", file);
  put(file, record->text);
  if (record->right) {
    fputs("\"/>\n", file);
    return;
  }
  fputs("\">\n      <failure message=\"", file);
  put(file, record->message);
  fputs("\">", file);
  put(file, record->command);
  fputs("</failure>\n    </testcase>\n", file);
}

void cli_conform_junit_device(cli_conform_report *report, double seconds) {
  FILE *file = report->junit;
  const rwkv6_device_info *info = report->info;
  fprintf(file, "  <testsuite name=\"rwkv6 conform %s\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" time=\"%.1f\">\n", info->id,
          report->count, report->failed, seconds);
  fputs("    <properties>\n", file);
  put_property(file, "version", rwkv6_version());
  put_property(file, "device", info->name);
  put_property(file, "platform", info->platform);
  put_property(file, "driver", info->driver_version);
  fputs("    </properties>\n", file);
  for (size_t i = 0; i < report->count; i++) put_record(file, &report->records[i]);
  fputs("    <system-out>", file);
  if (report->log) put(file, report->log);
  fputs("</system-out>\n  </testsuite>\n", file);
}
