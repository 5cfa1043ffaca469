package org.parallelcomp.core.policies.select;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/** Rounds numbers to whole ones of the same sum. */
final class Shares {
  private Shares() {}

  /**
   * Returns the numbers rounded down, and one more for those with the largest remainders (of equal
   * ones the earlier) as often as their sum, rounded to a whole number, asks for.
   */
  static int[] rounded(double[] numbers) {
    int[] rounded = Arrays.stream(numbers).mapToInt(x -> (int) Math.floor(x + 1e-9)).toArray();
    long missing =
        Math.round(Arrays.stream(numbers).sum()) - Arrays.stream(rounded).asLongStream().sum();
    IntStream.range(0, numbers.length)
        .boxed()
        .sorted(Comparator.comparingDouble((Integer i) -> rounded[i] - numbers[i]))
        .limit(missing)
        .forEach(i -> rounded[i]++);
    return rounded;
  }
}
