// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Lets the host choose whom to range with: the lines of docs/devices/sketch.md. Fill in measure()
// with the ranging call of your library (DW1000 or DW3000); all else is done.

#include <stdio.h>
#include <string.h>

const char *NAME = "esp32-1";

struct Measured {
  bool answered;
  float metres;
  float rx_power;          // dBm; 0: not known
  float first_path_power;  // dBm; 0: not known
};

// Range with one anchor, once, and give up within 50 ms. Here: nobody answers.
Measured measure(const char *anchor) {
  (void)anchor;
  return {false, 0.0f, 0.0f, 0.0f};
}

// Print a line with its checksum.
void say(const char *text) {
  unsigned char sum = 0;
  for (const char *c = text; *c; ++c) sum ^= (unsigned char)*c;
  char end[8];
  snprintf(end, sizeof end, " *%02X\r\n", sum);
  Serial.print(text);
  Serial.print(end);
}

void answer(const char *line) {
  char text[96], anchor[17];
  int number;
  if (strcmp(line, "WHO") == 0) {
    snprintf(text, sizeof text, "UWB %s", NAME);
    say(text);
  } else if (sscanf(line, "ASK %16s %d", anchor, &number) == 2) {
    Measured m = measure(anchor);
    if (!m.answered) {
      snprintf(text, sizeof text, "FAIL %s #%d", anchor, number);
    } else if (m.rx_power < 0 && m.first_path_power < 0) {
      snprintf(text, sizeof text, "RANGE %s %.3f %.1f %.1f #%d", anchor, m.metres, m.rx_power,
               m.first_path_power, number);
    } else {
      snprintf(text, sizeof text, "RANGE %s %.3f #%d", anchor, m.metres, number);
    }
    say(text);
  }
}

void setup() {
  Serial.begin(115200);
  answer("WHO");
}

void loop() {
  static char line[64];
  static unsigned used = 0;
  while (Serial.available()) {
    char c = (char)Serial.read();
    if (c == '\r' || c == '\n') {
      line[used] = 0;
      if (used) answer(line);
      used = 0;
    } else if (used + 1 < sizeof line) {
      line[used++] = c;
    }
  }
}
