package org.parallelcomp.report;

import java.util.Locale;

/** Numbers for people. */
final class Numbers {
  private static final String[] BINARY = {"B", "KiB", "MiB", "GiB", "TiB"};

  private Numbers() {}

  /** Returns a count with its thousands apart. */
  static String count(long count) {
    return String.format(Locale.ROOT, "%,d", count);
  }

  /** Returns a count and its noun, as in "1 chunk" or "273 chunks". */
  static String count(long count, String noun) {
    return count(count) + " " + noun + (count == 1 ? "" : "s");
  }

  /** Returns bytes with three digits that matter, as in "1.47 GiB". */
  static String bytes(long bytes) {
    double value = bytes;
    int unit = 0;
    while (value >= 1000 && unit < BINARY.length - 1) {
      value /= 1024;
      unit++;
    }
    String form = unit == 0 || value >= 100 ? "%.0f %s" : value >= 10 ? "%.1f %s" : "%.2f %s";
    return String.format(Locale.ROOT, form, value, BINARY[unit]);
  }

  static String seconds(long nanos) {
    return String.format(Locale.ROOT, "%.2f s", nanos / 1e9);
  }

  /** Returns a share in percent: a whole number, or one digit more where it is small. */
  static String percent(double share) {
    double percent = 100 * share;
    return percent > 0 && percent < 9.95
        ? String.format(Locale.ROOT, percent < 0.05 ? "<0.1%%" : "%.1f%%", percent)
        : String.format(Locale.ROOT, "%.0f%%", percent);
  }

  /** Returns a number with three decimals. */
  static String three(double value) {
    return String.format(Locale.ROOT, "%.3f", value);
  }

  /** Returns a coordinate or a length in CSS: at most two decimals. */
  static String css(double value) {
    String text = String.format(Locale.ROOT, "%.2f", value);
    return text.contains(".") ? text.replaceAll("0+$", "").replaceAll("\\.$", "") : text;
  }
}
