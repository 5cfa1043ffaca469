package org.parallelcomp.it;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.TokenSink;

/**
 * Times a question about a text several times in one process, on one device or several, as the
 * engine answers it: a line for each run, and what each device says of itself behind them.
 *
 * <pre>
 * DevicesBenchmark MODEL TEXT BACKEND DEVICES RUNS ANSWER_TOKENS PLAN [KEY=VALUE ...]
 * DEVICES: such as 0,1, or - for the backend's choice
 * PLAN: a preset, perhaps with changes: "parallelcomp + chunk-eviction=best(chunks=16)"
 * </pre>
 */
final class DevicesBenchmark {
  private DevicesBenchmark() {}

  public static void main(String[] args) {
    List<String> devices = args[3].equals("-") ? List.of() : List.of(args[3].split(","));
    Map<String, String> options = new TreeMap<>();
    for (String option : Arrays.asList(args).subList(7, args.length)) {
      String[] parts = option.split("=", 2);
      options.put(parts[0], parts[1]);
    }
    String text = Engine.readText(Path.of(args[1]));
    long begin = System.nanoTime();
    try (Engine engine =
        Engine.open(
            EngineConfig.of(Path.of(args[0]))
                .withBackend(args[2])
                .withBackendOptions(options)
                .withDevices(devices))) {
      print("loaded\t%.2f s", (System.nanoTime() - begin) * 1e-9);
      GenerationRequest request =
          GenerationRequest.ask(text, "What is the pass key?")
              .withPlan(plan(engine, args[6]))
              .withMaxTokens(Integer.parseInt(args[5]));
      for (int run = 0; run < Integer.parseInt(args[4]); run++) {
        print(run, engine.generate(request, TokenSink.NONE));
      }
      for (BackendInfo info : engine.devices()) {
        print("device\t%s\t%s", info.device(), info.facts());
      }
    }
  }

  private static Plan plan(Engine engine, String text) {
    String[] parts = text.split(" \\+ ");
    Plan plan = engine.plan(parts[0]);
    for (String change : Arrays.asList(parts).subList(1, parts.length)) {
      String[] policy = change.split("=", 2);
      PolicyKind kind =
          Arrays.stream(PolicyKind.values())
              .filter(k -> k.label().equals(policy[0]))
              .findFirst()
              .orElseThrow();
      plan = plan.with(kind, PolicySpec.parse(policy[1]));
    }
    return plan;
  }

  private static void print(int run, GenerationResult result) {
    Figures figures = result.figures();
    print(
        "run %d\tchunks %d\tkept %d\tprefilled %d\tprefill %.3f s\tmerge %.3f s\tprefill+merge %.0f"
            + " tok/s\tdecode %d tokens\t%.1f tok/s\tfirst token %.3f s\tkept cache %d bytes",
        run,
        figures.chunks(),
        figures.keptChunks(),
        figures.prefilledTokens(),
        figures.prefillNanos() * 1e-9,
        figures.mergeNanos() * 1e-9,
        figures.prefillTokensPerSecond(),
        figures.answerTokens(),
        figures.decodeTokensPerSecond(),
        figures.firstTokenNanos() * 1e-9,
        figures.keptCacheBytes());
  }

  private static void print(String format, Object... values) {
    System.out.printf(Locale.ROOT, format + "%n", values);
  }
}
