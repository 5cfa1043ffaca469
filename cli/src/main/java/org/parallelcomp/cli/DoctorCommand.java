package org.parallelcomp.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.parallelcomp.api.backend.Availability.Usable;
import org.parallelcomp.api.error.ErrorCategory;
import org.parallelcomp.engine.BackendStatus;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Says what the program runs on, for reports of faults. */
@Command(
    name = "doctor",
    description =
        "Says what this runs on: JDK, cores, memory, providers, cache. Fails if no backend is"
            + " usable.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class)
final class DoctorCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Option(names = "--json", description = "Prints one JSON object and nothing else.")
  private boolean json;

  DoctorCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() throws IOException {
    // Before backends are asked: a native call, warned of or not, grants access to its module.
    Map<String, String> facts = facts();
    List<BackendStatus> backends = command.engine().backends();
    if (json) {
      ObjectNode root = Json.object();
      facts.forEach(root::put);
      BackendsCommand.put(root.putArray("backends"), backends);
      Json.print(root, command.streams());
    } else {
      var table = new Table();
      facts.forEach(table::row);
      command.streams().out().print(table + "\n" + BackendsCommand.text(backends));
    }
    return backends.stream().anyMatch(backend -> backend.availability() instanceof Usable)
        ? 0
        : ExitStatus.of(ErrorCategory.UNSUPPORTED);
  }

  private Map<String, String> facts() throws IOException {
    var machine = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    var facts = new LinkedHashMap<String, String>();
    facts.put("parallelcomp", ParallelComp.Version.number());
    facts.put(
        "java",
        Runtime.version()
            + ", "
            + System.getProperty("java.vendor")
            + ", "
            + System.getProperty("java.home"));
    facts.put(
        "system",
        System.getProperty("os.name")
            + " "
            + System.getProperty("os.version")
            + ", "
            + System.getProperty("os.arch"));
    facts.put("processors", Integer.toString(Runtime.getRuntime().availableProcessors()));
    facts.put(
        "memory",
        Units.bytes(machine.getFreeMemorySize())
            + " free of "
            + Units.bytes(machine.getTotalMemorySize()));
    facts.put("java heap", Units.bytes(Runtime.getRuntime().maxMemory()) + " at most");
    facts.put("native access", nativeAccess());
    facts.put("vector module", module("jdk.incubator.vector"));
    facts.put("bundled model", command.engine().bundledModel().toString());
    return facts;
  }

  private static String module(String name) {
    return ModuleLayer.boot().findModule(name).isPresent()
        ? "on"
        : "off; start with --add-modules " + name;
  }

  /** The tokenizer is a native library; without the grant Java prints a warning of four lines. */
  private static String nativeAccess() {
    String tokenizers = "ai.djl.tokenizers";
    Module module =
        ModuleLayer.boot().findModule(tokenizers).orElse(DoctorCommand.class.getModule());
    return module.isNativeAccessEnabled()
        ? "granted"
        : "not granted; start with --enable-native-access="
            + (module.isNamed() ? module.getName() : "ALL-UNNAMED");
  }
}
