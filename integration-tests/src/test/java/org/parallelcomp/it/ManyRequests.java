package org.parallelcomp.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/**
 * Asks one engine again and again, and prints what the operating system says of the process after
 * each request: resident KiB.
 *
 * <pre>
 * ManyRequests COUNT [BACKEND]
 * </pre>
 */
final class ManyRequests {
  private ManyRequests() {}

  public static void main(String[] args) throws IOException {
    String text =
        "Mira keeps the silver key in the lighthouse. " + MobyDick.text().substring(60_000, 61_600);
    List<String> presets =
        Engine.policies().presets().stream().map(preset -> preset.name()).toList();
    EngineConfig config = EngineConfig.of(Needle6m.path());
    try (var engine = Engine.open(args.length < 2 ? config : config.withBackend(args[1]))) {
      for (int i = 0; i < Integer.parseInt(args[0]); i++) {
        var request =
            GenerationRequest.ask(text, "Where does Mira keep the silver key?")
                .withPlan(engine.plan(presets.get(i % presets.size())))
                .withMaxTokens(8);
        engine.generate(request, TokenSink.NONE);
        System.out.println(residentKib());
      }
    }
  }

  private static long residentKib() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", ""));
      }
    }
    throw new IOException("/proc/self/status has no VmRSS");
  }
}
