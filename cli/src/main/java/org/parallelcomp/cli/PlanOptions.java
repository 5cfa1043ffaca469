package org.parallelcomp.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.PolicyCatalog;
import picocli.CommandLine.Option;

/** How the text is worked out: a preset, and what differs from it. */
final class PlanOptions {
  /** The preset that is taken where none is named. */
  static final String DEFAULT_PRESET = "parallelcomp";

  @Option(
      names = {"-p", "--preset"},
      paramLabel = "NAME",
      description = "A whole plan by name; see 'parallelcomp policies'. Default: ${DEFAULT-VALUE}.")
  private String preset = DEFAULT_PRESET;

  @Option(
      names = "--policy",
      paramLabel = "KIND=NAME(PARAMETER=VALUE,...)",
      description = "Takes another policy of a kind into the plan; may be repeated.")
  private List<String> policies = new ArrayList<>();

  @Option(
      names = "--set",
      paramLabel = "KIND.PARAMETER=VALUE",
      description = "Sets one parameter, as in chunking.tokens=512; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Option(
      names = "--chunk-tokens",
      paramLabel = "COUNT",
      description = "The same as --set chunking.tokens=COUNT.")
  private @Nullable String chunkTokens;

  @Option(
      names = "--keep-chunks",
      paramLabel = "COUNT",
      description = "The same as --set chunk-eviction.chunks=COUNT.")
  private @Nullable String keepChunks;

  @Option(
      names = "--keep-tokens",
      paramLabel = "COUNT",
      description = "Tokens kept of each chunk: the same as --policy budget=tokens(keep=COUNT).")
  private @Nullable String keepTokens;

  @Option(
      names = "--window",
      paramLabel = "COUNT",
      description = "Last tokens whose attention counts: --set token-scorer.window=COUNT.")
  private @Nullable String window;

  @Option(
      names = "--pool",
      paramLabel = "COUNT",
      description = "Neighbours that share a score: --set token-scorer.pool=COUNT.")
  private @Nullable String pool;

  /** One parameter of one kind's policy, and the option that set it. */
  private record Setting(String option, PolicyKind kind, String parameter, String value) {}

  String preset() {
    return preset;
  }

  /**
   * Returns what the options make of a plan of {@link #preset()}: first the policies, then the
   * settings, then the short forms. Everything that can be refused without a model is refused here.
   */
  UnaryOperator<Plan> changes(PolicyCatalog catalog) {
    Plan base = catalog.preset(preset).plan();
    var steps = new ArrayList<UnaryOperator<Plan>>();
    policies.forEach(text -> steps.add(policy(text, catalog)));
    if (keepTokens != null) {
      steps.add(policy("budget=tokens(keep=" + keepTokens + ")", catalog));
    }
    var all = new ArrayList<>(settings.stream().map(PlanOptions::setting).toList());
    shortcut(all, "--chunk-tokens", PolicyKind.CHUNKING, "tokens", chunkTokens);
    shortcut(all, "--keep-chunks", PolicyKind.CHUNK_EVICTION, "chunks", keepChunks);
    shortcut(all, "--window", PolicyKind.TOKEN_SCORER, "window", window);
    shortcut(all, "--pool", PolicyKind.TOKEN_SCORER, "pool", pool);
    all.forEach(setting -> steps.add(plan -> set(plan, setting, catalog)));
    UnaryOperator<Plan> changes =
        plan -> {
          Plan changed = plan;
          for (UnaryOperator<Plan> step : steps) {
            changed = step.apply(changed);
          }
          return changed;
        };
    changes.apply(base);
    return changes;
  }

  private static UnaryOperator<Plan> policy(String text, PolicyCatalog catalog) {
    int equals = at(text, '=', "--policy", "kind=name(parameter=value)");
    PolicyKind kind = kind(text.substring(0, equals));
    PolicySpec spec = PolicySpec.parse(text.substring(equals + 1));
    catalog.policy(kind, spec.name()).create(spec.parameters(), catalog);
    return plan -> plan.with(kind, spec);
  }

  private static Setting setting(String text) {
    String form = "kind.parameter=value";
    int equals = at(text, '=', "--set", form);
    String name = text.substring(0, equals);
    int dot = at(name, '.', "--set", form);
    return new Setting(
        "--set", kind(name.substring(0, dot)), name.substring(dot + 1), text.substring(equals + 1));
  }

  private static void shortcut(
      List<Setting> all, String option, PolicyKind kind, String parameter, @Nullable String value) {
    if (value != null) {
      all.add(new Setting(option, kind, parameter, value));
    }
  }

  private static Plan set(Plan plan, Setting setting, PolicyCatalog catalog) {
    PolicyKind kind = setting.kind();
    String policy = plan.policy(kind).name();
    List<Parameter> declared = catalog.policy(kind, policy).parameters();
    Parameter parameter =
        declared.stream()
            .filter(p -> p.name().equals(setting.parameter()))
            .findFirst()
            .orElseThrow(
                () ->
                    refusal(
                        setting.option()
                            + " does not fit: the "
                            + kind.label()
                            + " of the plan is '"
                            + policy
                            + "', which has "
                            + names(declared)
                            + ", not '"
                            + setting.parameter()
                            + "'."));
    String fault = parameter.fault(setting.value());
    if (fault != null) {
      throw refusal(
          setting.option() + ": " + kind.label() + "." + parameter.name() + " " + fault + ".");
    }
    Plan changed = plan.with(kind, parameter.name(), setting.value());
    catalog.policy(kind, policy).create(changed.policy(kind).parameters(), catalog);
    return changed;
  }

  private static String names(List<Parameter> declared) {
    return declared.isEmpty()
        ? "no parameters"
        : "the parameters " + String.join(", ", declared.stream().map(Parameter::name).toList());
  }

  private static int at(String text, char mark, String option, String form) {
    int at = text.indexOf(mark);
    if (at < 1) {
      throw refusal(option + " must be of the form " + form + ", not '" + text + "'.");
    }
    return at;
  }

  private static PolicyKind kind(String label) {
    return Arrays.stream(PolicyKind.values())
        .filter(kind -> kind.label().equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                Names.unknown(
                    "kind of policy",
                    label,
                    Arrays.stream(PolicyKind.values()).map(PolicyKind::label).toList()));
  }

  private static InferenceException refusal(String sentence) {
    return new InferenceException(ErrorCode.INVALID_ARGUMENT, sentence);
  }
}
