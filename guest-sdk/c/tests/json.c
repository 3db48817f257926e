/* JSON: what is read is written again, and what is none is refused. */
#include <wflo.h>

#include "utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong = 0;

static void check(const char *what, const char *expected, const char *got) {
  if (got != NULL && strcmp(expected, got) == 0) return;
  printf("%s: expected %s, got %s\n", what, expected, got == NULL ? "nothing" : got);
  wrong++;
}

static const char *again(const char *text) {
  const wflo_json *value = wflo_json_parse(text);
  return value == NULL ? NULL : wflo_json_write(value);
}

/* What a number is as an integer; `none` where it is not one. */
static void whole(const char *text, bool expected, int64_t integer) {
  int64_t got = 17;
  const wflo_json *value = wflo_json_parse(text);
  bool is = wflo_json_whole(value, &got);
  if (is != expected || got != (expected ? integer : 17) || wflo_json_to_integer(value) != integer) {
    printf("%s: expected %lld, got %s %lld\n", text, (long long)integer, is ? "an integer" : "none", (long long)got);
    wrong++;
  }
}

int main(void) {
  const char *const same[] = {
      "null", "true", "[]", "{}", "-0", "1.5e300", "9223372036854775807123", "\"漢字 ü 👩\"", "[1,[2,{\"a\":null}]]",
      "{\"a\":{\"b\":[false,\"\\n\\\"\\\\\"]},\"\":1}", "\"\\u0001\"",
  };
  for (size_t at = 0; at < sizeof same / sizeof *same; at++) check(same[at], same[at], again(same[at]));
  check("escapes", "\"A/ü👍\xef\xbf\xbd\"", again(" \"\\u0041\\/\\u00fc\\ud83d\\udc4d\\ud800\" "));
  check("spaces", "{\"a\":[1,2]}", again("\t{ \"a\" : [ 1 ,\r\n2 ] } "));
  const char *const none[] = {"",      " ",     "nul",    "01",        "1.",       "+1",     ".5",      "1e",       "[1,]", "[1 2]",
                              "{a:1}", "{\"a\"}", "{\"a\":1,}", "\"", "\"\\x\"", "\"\\u12\"", "\"\n\"", "[",  "1 2",  "'a'"};
  for (size_t at = 0; at < sizeof none / sizeof *none; at++) {
    if (wflo_json_parse(none[at]) != NULL) check(none[at], "nothing", "something");
  }
  char deep[2000];
  memset(deep, '[', sizeof deep - 1);
  deep[sizeof deep - 1] = 0;
  if (wflo_json_parse(deep) != NULL) check("what is too deep", "nothing", "something");

  const wflo_json *value = wflo_json_parse("{\"n\":9007199254740993,\"r\":-0.25,\"b\":true,\"t\":\"x\",\"a\":[7]}");
  if (wflo_json_to_integer(wflo_json_get(value, "n")) != 9007199254740993) check("integer", "exact", "other");
  if (wflo_json_to_real(wflo_json_get(value, "r")) != -0.25) check("real", "exact", "other");
  if (!wflo_json_to_boolean(wflo_json_get(value, "b"))) check("boolean", "true", "false");
  check("text", "x", wflo_json_text(wflo_json_get(value, "t")));
  check("member", "7", wflo_json_write(wflo_json_at(wflo_json_get(value, "a"), 0)));
  if (wflo_json_text(wflo_json_get(wflo_json_get(value, "none"), "none")) != NULL) check("nothing", "nothing", "something");

  wflo_json *made = wflo_json_set(wflo_json_object(), "a", wflo_json_real(0.1));
  wflo_json_set(wflo_json_set(made, "b", wflo_json_integer(INT64_MIN)), "a", wflo_json_real(1e22));
  wflo_json_set(made, "c", wflo_json_push(wflo_json_array(), wflo_json_real(NAN)));
  check("made", "{\"a\":1e+22,\"b\":-9223372036854775808,\"c\":[null]}", wflo_json_write(made));

  const char *const sevens[] = {"7", "7.0", "7.000e0", "0.7e1", "70e-1", "7000000000000000000000e-21", "0.0000000000000000000007e22"};
  for (size_t at = 0; at < sizeof sevens / sizeof *sevens; at++) whole(sevens[at], true, 7);
  whole("1e16", true, 10000000000000000);
  whole("-0", true, 0);
  whole("-0.0e99999999999999999999", true, 0);
  whole("-1.5E+1", true, -15);
  whole("9007199254740993.0", true, 9007199254740993);
  whole("9223372036854775807", true, INT64_MAX);
  whole("-9223372036854775808", true, INT64_MIN);
  whole("-9.223372036854775808e18", true, INT64_MIN);
  const char *const not_whole[] = {"3.7", "1e-1", "-0.5", "9223372036854775808", "-9223372036854775809", "18446744073709551615",
                                   "18446744073709551616", "1e19", "1e300", "1e99999999999999999999", "1e-99999999999999999999",
                                   "99999999999999999999", "\"7\"", "null", "true", "[7]"};
  for (size_t at = 0; at < sizeof not_whole / sizeof *not_whole; at++) whole(not_whole[at], false, 0);

  check("text", "ü漢👩", wflo_legible("ü漢👩"));
  check("no text", "a\xef\xbf\xbd" "b\xef\xbf\xbd", wflo_legible("a\xfc" "b\xff"));
  const char *const broken[] = {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5", "\x80", "\xc3",
                                "\xe6\xbc"};
  for (size_t at = 0; at < sizeof broken / sizeof *broken; at++) {
    if (wflo_utf8(broken[at]) != 0) check("no text", "broken", broken[at]);
  }
  if (wrong == 0) puts("ok");
  return wrong == 0 ? 0 : 1;
}
