/* Tests of TestU01 on 32-bit words from standard input.

       testu01 SmallCrush|Crush|BigCrush NUMBER      one test of the battery, counted from 1
       testu01 Rabbit|Alphabit EXPONENT              the battery on 2**EXPONENT bits

   Of what is printed, the lines "p-value<tab>number<tab>name" are the results. */

#include <TestU01.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 1 << 16, MOST_TESTS = 200 };

static unsigned int next_word(void) {
  static unsigned int words[WORDS];
  static size_t place, there;
  if (place == there) {
    place = 0;
    there = fread(words, sizeof *words, WORDS, stdin);
    if (there == 0) {
      fprintf(stderr, "testu01: the words came to an end\n");
      exit(1);
    }
  }
  return words[place++];
}

static int run(unif01_Gen *words, const char *battery, int number) {
  int repeat[MOST_TESTS] = {0};
  repeat[number] = 1;
  if (!strcmp(battery, "SmallCrush")) bbattery_RepeatSmallCrush(words, repeat);
  else if (!strcmp(battery, "Crush")) bbattery_RepeatCrush(words, repeat);
  else if (!strcmp(battery, "BigCrush")) bbattery_RepeatBigCrush(words, repeat);
  else if (!strcmp(battery, "Rabbit")) bbattery_Rabbit(words, ldexp(1, number));
  else if (!strcmp(battery, "Alphabit")) bbattery_Alphabit(words, ldexp(1, number), 0, 32);
  else return 0;
  return 1;
}

int main(int count, char **arguments) {
  int number = count == 3 ? atoi(arguments[2]) : 0;
  swrite_Basic = FALSE;
  if (number < 1 || number >= MOST_TESTS ||
      !run(unif01_CreateExternGenBits("words", next_word), arguments[1], number)) {
    fprintf(stderr, "testu01: give a battery and the number of a test\n");
    return 2;
  }
  for (int i = 0; i < bbattery_NTests; ++i)
    printf("p-value\t%.17g\t%s\n", bbattery_pVal[i], bbattery_TestNames[i]);
  return 0;
}
