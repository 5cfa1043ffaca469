import java.util.Arrays;
import java.util.Locale;

/**
 * Times a run as integration-tests' DecoderBenchmark does: two seconds of warm-up, then the median
 * and the best.
 */
public final class PeerTimer {
  private PeerTimer() {}

  public static void report(String engine, String test, int tokens, int repetitions, Runnable run) {
    long warm = System.nanoTime() + 2_000_000_000L;
    run.run();
    do {
      run.run();
    } while (System.nanoTime() < warm);
    double[] perSecond = new double[repetitions];
    for (int i = 0; i < repetitions; i++) {
      long begin = System.nanoTime();
      run.run();
      perSecond[i] = tokens * 1e9 / (System.nanoTime() - begin);
    }
    Arrays.sort(perSecond);
    System.out.printf(
        Locale.ROOT,
        "| %s | %s | median %.1f | best %.1f | of %d |%n",
        engine,
        test,
        perSecond[repetitions / 2],
        perSecond[repetitions - 1],
        repetitions);
  }
}
