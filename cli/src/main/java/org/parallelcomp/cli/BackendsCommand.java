package org.parallelcomp.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.concurrent.Callable;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Availability.Unusable;
import org.parallelcomp.api.backend.Availability.Usable;
import org.parallelcomp.engine.BackendStatus;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Lists what computes. */
@Command(
    name = "backends",
    description = "Lists every backend that was found: usable, or every reason why not.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class)
final class BackendsCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Option(names = "--json", description = "Prints one JSON object and nothing else.")
  private boolean json;

  BackendsCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    List<BackendStatus> backends = command.engine().backends();
    if (json) {
      ObjectNode root = Json.object();
      put(root.putArray("backends"), backends);
      Json.print(root, command.streams());
    } else {
      command.streams().out().print(text(backends));
    }
    return 0;
  }

  static String text(List<BackendStatus> backends) {
    if (backends.isEmpty()) {
      return "No backend was found; put the jar of one, such as parallelcomp-backend-cpu-vector, on"
          + " the path.\n";
    }
    var text = new StringBuilder();
    for (BackendStatus backend : backends) {
      text.append(backend.id()).append(": ").append(backend.summary()).append('\n');
      switch (backend.availability()) {
        case Usable usable ->
            text.append("  usable, score ")
                .append(usable.score())
                .append(": ")
                .append(usable.description())
                .append('\n');
        case Unusable unusable -> {
          text.append("  not usable here:\n");
          for (Availability.Reason reason : unusable.reasons()) {
            text.append("  - ").append(reason.cause()).append('\n');
            text.append("    remedy: ").append(reason.remedy()).append('\n');
          }
        }
      }
      text.append("  from ").append(backend.origin()).append('\n');
    }
    return text.toString();
  }

  static void put(ArrayNode array, List<BackendStatus> backends) {
    for (BackendStatus backend : backends) {
      ObjectNode node = array.addObject();
      node.put("id", backend.id());
      node.put("summary", backend.summary());
      node.put("origin", backend.origin());
      switch (backend.availability()) {
        case Usable usable -> {
          node.put("usable", true);
          node.put("score", usable.score());
          node.put("description", usable.description());
        }
        case Unusable unusable -> {
          node.put("usable", false);
          ArrayNode reasons = node.putArray("reasons");
          for (Availability.Reason reason : unusable.reasons()) {
            reasons.addObject().put("cause", reason.cause()).put("remedy", reason.remedy());
          }
        }
      }
    }
  }
}
