package org.parallelcomp.conformance.tool;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.spi.ToolProvider;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.conformance.BackendConformance;
import org.parallelcomp.conformance.PolicyConformance;

/**
 * Runs the rules of a backend, or those of all policies, and prints what became of each. It needs
 * the JUnit Platform's launcher and the Jupiter engine, which the kit itself does not require.
 *
 * <pre>
 * backend ID    the rules of docs/spec/backend.md on the backend of this id
 * policies      the rules of docs/spec/policy.md on every policy that is found
 * </pre>
 *
 * <p>Providers are found by ServiceLoader through the thread's context class loader. The status is
 * 0 if every rule holds, {@value #BROKEN} if not, {@value #USAGE} if the words are not understood.
 */
public final class ConformanceTool implements ToolProvider {
  /** The status where a rule is broken: the fault is in the software, as sysexits.h has it. */
  private static final int BROKEN = 70;

  private static final int USAGE = 2;

  // JUnit makes the instances of the test classes, so what is tested cannot be handed to them.
  private static volatile List<BackendProvider> backends = List.of();
  private static volatile List<PolicyProvider> policies = List.of();

  /** Creates the tool; called by the service loader. */
  public ConformanceTool() {}

  @Override
  public String name() {
    return "parallelcomp-conformance";
  }

  @Override
  public int run(PrintWriter out, PrintWriter err, String... args) {
    List<String> words = List.of(args);
    if (words.size() == 2 && words.getFirst().equals("backend")) {
      return runBackend(words.getLast(), out, err);
    }
    if (words.equals(List.of("policies"))) {
      return runPolicies(out, err);
    }
    err.println(name() + ": expected 'backend ID' or 'policies'.");
    return USAGE;
  }

  private static int runBackend(String id, PrintWriter out, PrintWriter err) {
    backends =
        ServiceLoader.load(BackendProvider.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(provider -> provider.id().equals(id))
            .toList();
    if (backends.size() != 1) {
      err.println("There are " + backends.size() + " backends '" + id + "'.");
      return USAGE;
    }
    return run(ChosenBackend.class, out);
  }

  private static int runPolicies(PrintWriter out, PrintWriter err) {
    policies =
        ServiceLoader.load(PolicyProvider.class).stream().map(ServiceLoader.Provider::get).toList();
    if (policies.isEmpty()) {
      err.println("No policies were found.");
      return USAGE;
    }
    int status = 0;
    for (PolicyProvider provider : policies) {
      out.println(provider.getClass().getName());
      current = provider;
      status = Math.max(status, run(EveryPolicy.class, out));
    }
    return status;
  }

  private static volatile PolicyProvider current = List::of;

  private static int run(Class<?> kit, PrintWriter out) {
    var table = new RuleTable(out);
    LauncherFactory.create()
        .execute(
            LauncherDiscoveryRequestBuilder.request().selectors(selectClass(kit)).build(), table);
    table.summarise();
    return table.allHold() ? 0 : BROKEN;
  }

  /** The kit on the backend that was chosen. */
  static class ChosenBackend extends BackendConformance {
    @Override
    protected BackendProvider provider() {
      return backends.getFirst();
    }
  }

  /** The kit on the provider of policies that is at turn. */
  static class EveryPolicy extends PolicyConformance {
    @Override
    protected PolicyProvider provider() {
      return current;
    }

    @Override
    protected List<PolicyProvider> others() {
      var others = new ArrayList<>(policies);
      others.remove(current);
      return List.copyOf(others);
    }
  }
}
