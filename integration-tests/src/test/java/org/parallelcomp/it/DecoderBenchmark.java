package org.parallelcomp.it;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.TreeMap;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.DecoderWeights;
import org.parallelcomp.engine.model.LayerCaches;
import org.parallelcomp.engine.model.RopeTable;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.registry.BackendRegistry;

/**
 * Times prefill and decode of a model as llama-bench does: random tokens, one row of logits behind
 * a prefill, warm-up first, the median and the best of several. With 0 repetitions it runs once for
 * each line that it is sent, so that two processes can be timed in turns on a machine whose speed
 * changes.
 *
 * <pre>
 * DecoderBenchmark MODEL PREFILL_TOKENS DECODE_TOKENS REPETITIONS [THREADS [BACKEND [KEY=VALUE ...]]]
 * </pre>
 */
final class DecoderBenchmark {
  private DecoderBenchmark() {}

  public static void main(String[] args) {
    Path model = Path.of(args[0]);
    int prefillTokens = Integer.parseInt(args[1]);
    int decodeTokens = Integer.parseInt(args[2]);
    int repetitions = Integer.parseInt(args[3]);
    int threads = args.length > 4 ? Integer.parseInt(args[4]) : 2;
    String id = args.length > 5 ? args[5] : null;
    var options = new TreeMap<String, String>();
    for (int i = 6; i < args.length; i++) {
      String[] option = args[i].split("=", 2);
      options.put(option[0], option[1]);
    }
    ModelSource source = ModelFiles.open(model);
    try (Backend backend =
            BackendRegistry.discover().open(id, new BackendConfig(threads, options));
        MemoryScope scope = backend.openScope("benchmark")) {
      int positions = Math.max(1, prefillTokens) + decodeTokens;
      try (Decoder decoder =
          new Decoder(
              backend,
              source.config(),
              DecoderWeights.load(backend, scope, source),
              scope,
              RopeTable.create(backend, scope, source.config().rope(), positions))) {
        if (prefillTokens > 0) {
          report(
              model,
              "pp" + prefillTokens,
              prefillTokens,
              repetitions,
              () -> run(backend, scope, decoder, prefillTokens, 0));
        }
        if (decodeTokens > 0) {
          report(
              model,
              "tg" + decodeTokens,
              decodeTokens,
              repetitions,
              () -> run(backend, scope, decoder, 1, decodeTokens));
        }
      }
    }
  }

  private static void report(Path model, String test, int tokens, int repetitions, Runnable run) {
    warmUp(run);
    if (repetitions == 0) {
      oneForEachLine(tokens, run);
      return;
    }
    double[] perSecond = new double[repetitions];
    for (int i = 0; i < repetitions; i++) {
      perSecond[i] = perSecond(tokens, run);
    }
    Arrays.sort(perSecond);
    System.out.printf(
        Locale.ROOT,
        "| %s | %s | median %.1f | best %.1f | of %d |%n",
        model.getFileName(),
        test,
        perSecond[repetitions / 2],
        perSecond[repetitions - 1],
        repetitions);
  }

  /** Says that it is warm, then answers each line with a run's tokens per second. */
  private static void oneForEachLine(int tokens, Runnable run) {
    System.out.println("warm");
    try (var lines = new BufferedReader(new InputStreamReader(System.in, UTF_8))) {
      while (lines.readLine() != null) {
        System.out.printf(Locale.ROOT, "%.1f%n", perSecond(tokens, run));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static double perSecond(int tokens, Runnable run) {
    long begin = System.nanoTime();
    run.run();
    return tokens * 1e9 / (System.nanoTime() - begin);
  }

  /**
   * Runs until the compiler worked for less than a fiftieth of a second's runs: on two cores it
   * takes one from what is timed, for six seconds or more where each call passes much Java. What is
   * timed is what a long job sees.
   */
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

  /** A prefill with one row of logits, then so many single tokens. */
  private static void run(
      Backend backend, MemoryScope scope, Decoder decoder, int prefillTokens, int decodeTokens) {
    Random random = new Random(1);
    int vocab = decoder.config().vocab();
    try (MemoryScope caches = scope.child("run")) {
      LayerCaches layers =
          LayerCaches.growing(decoder.allocateLayers(caches, prefillTokens + decodeTokens));
      int[] prompt = random.ints(prefillTokens, 0, vocab).toArray();
      Tensor hidden = decoder.forward(List.of(new SequenceInput(prompt, 0, 1, layers))).getFirst();
      backend.host().copyToHostFloats(decoder.logits(hidden));
      for (int i = 0; i < decodeTokens; i++) {
        int[] token = {random.nextInt(vocab)};
        hidden =
            decoder
                .forward(List.of(new SequenceInput(token, prefillTokens + i, 1, layers)))
                .getFirst();
        backend.host().copyToHostFloats(decoder.logits(hidden));
      }
    }
  }
}
