package org.parallelcomp.it;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.TreeMap;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/**
 * Times a question about a text twice in one process, and prints what the backend says of itself
 * behind it.
 *
 * <pre>
 * AskBenchmark TEXT BACKEND [KEY=VALUE ...]
 * </pre>
 */
final class AskBenchmark {
  private AskBenchmark() {}

  public static void main(String[] args) throws IOException {
    String text = Engine.readText(Path.of(args[0]));
    var options = new TreeMap<String, String>();
    for (int i = 2; i < args.length; i++) {
      String[] option = args[i].split("=", 2);
      options.put(option[0], option[1]);
    }
    EngineConfig config =
        EngineConfig.of(Needle6m.path()).withBackend(args[1]).withBackendOptions(options);
    try (Engine engine = Engine.open(config)) {
      double first = seconds(engine, text);
      double second = seconds(engine, text);
      System.out.printf(
          Locale.ROOT,
          "| %s %s | %.2f | %.2f | %s |%n",
          args[1],
          options,
          first,
          second,
          engine.backend().facts());
    }
  }

  private static double seconds(Engine engine, String text) {
    long begin = System.nanoTime();
    engine.generate(
        GenerationRequest.ask(text, "What is the pass key?")
            .withPlan(engine.plan("parallelcomp"))
            .withMaxTokens(16),
        TokenSink.NONE);
    return (System.nanoTime() - begin) / 1e9;
  }
}
