import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Locale;

/**
 * Times a run as integration-tests' DecoderBenchmark does: warm-up until the compiler is done, then
 * the median and the best.
 */
public final class PeerTimer {
  private PeerTimer() {}

  public static void report(String engine, String test, int tokens, int repetitions, Runnable run) {
    warmUp(run);
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

  private static void warmUp(Runnable run) {
    CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
    long elapsedMillis;
    long compilerMillis;
    do {
      long begin = System.nanoTime();
      long before = compiler.getTotalCompilationTime();
      do {
        run.run();
        elapsedMillis = (System.nanoTime() - begin) / 1_000_000;
      } while (elapsedMillis < 1000);
      compilerMillis = compiler.getTotalCompilationTime() - before;
    } while (compilerMillis > elapsedMillis / 50);
  }
}
