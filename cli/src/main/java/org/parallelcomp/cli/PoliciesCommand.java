package org.parallelcomp.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyLookup;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.engine.PolicyCatalog;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Lists presets and policies. */
@Command(
    name = "policies",
    description = "Lists presets and policies, or describes those of one name.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class)
final class PoliciesCommand implements Callable<Integer> {
  /** Calibration may ask for evidence in some layers only; of so many, some ask if any does. */
  private static final int LAYERS = 32;

  private final ParallelComp command;

  @Parameters(arity = "0..1", paramLabel = "NAME", description = "A policy or preset to describe.")
  private @Nullable String name;

  @Option(names = "--json", description = "Prints one JSON object and nothing else.")
  private boolean json;

  PoliciesCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    PolicyCatalog all = command.engine().policies(command.plugins());
    PolicyCatalog shown = select(all);
    if (json) {
      Json.print(json(shown, all), command.streams());
    } else {
      command.streams().out().print(name == null ? list(shown) : describe(shown, all));
    }
    return 0;
  }

  private PolicyCatalog select(PolicyCatalog all) {
    if (name == null) {
      return all;
    }
    var shown =
        new PolicyCatalog(
            all.policies().stream().filter(policy -> policy.name().equals(name)).toList(),
            all.presets().stream().filter(preset -> preset.name().equals(name)).toList());
    if (shown.policies().isEmpty() && shown.presets().isEmpty()) {
      throw Names.unknown(
          "policy or preset",
          name,
          Stream.concat(
                  all.policies().stream().map(PolicyFactory::name),
                  all.presets().stream().map(Preset::name))
              .toList());
    }
    return shown;
  }

  private static String list(PolicyCatalog catalog) {
    var text = new StringBuilder("Presets, for --preset NAME\n");
    var presets = new Table();
    catalog.presets().forEach(preset -> presets.row("  " + preset.name(), preset.summary()));
    text.append(presets);
    for (PolicyKind kind : PolicyKind.values()) {
      List<PolicyFactory<?>> ofKind =
          catalog.policies().stream().filter(policy -> policy.kind() == kind).toList();
      if (!ofKind.isEmpty()) {
        text.append("\n").append(kind.label()).append(", for --policy ");
        text.append(kind.label()).append("=NAME\n");
        var table = new Table();
        for (PolicyFactory<?> policy : ofKind) {
          table.row("  " + policy.name(), policy.summary());
          policy.parameters().forEach(p -> table.row("", "  " + parameter(p)));
          String evidence = evidence(policy, catalog);
          if (!evidence.isEmpty()) {
            table.row("", "  looks at: " + evidence);
          }
        }
        text.append(table);
      }
    }
    return text.append("\n'parallelcomp policies NAME' describes one of them.\n").toString();
  }

  private static String describe(PolicyCatalog catalog, PolicyLookup lookup) {
    var text = new StringBuilder();
    for (Preset preset : catalog.presets()) {
      Plan plan = preset.plan();
      text.append(preset.name()).append(" (preset): ").append(preset.summary()).append('\n');
      var table = new Table();
      table.row("  prefill", Json.word(plan.prefill()));
      table.row("  bound to window", plan.bindToWindow() ? "yes" : "no");
      plan.policies().forEach((kind, spec) -> table.row("  " + kind.label(), spec.toString()));
      text.append(table);
    }
    for (PolicyFactory<?> policy : catalog.policies()) {
      text.append(policy.name()).append(" (").append(policy.kind().label()).append("): ");
      text.append(policy.summary()).append('\n');
      text.append("  ").append(policy.description().strip()).append('\n');
      policy.parameters().forEach(p -> text.append("  ").append(parameter(p)).append('\n'));
      String evidence = evidence(policy, lookup);
      if (!evidence.isEmpty()) {
        text.append("  looks at: ").append(evidence).append('\n');
      }
    }
    return text.toString();
  }

  private static String parameter(Parameter parameter) {
    String choices =
        parameter.choices().isEmpty() ? "" : " (" + String.join(", ", parameter.choices()) + ")";
    String unit = parameter.unit().isEmpty() ? "" : " " + parameter.unit();
    return parameter.name()
        + "="
        + parameter.defaultValue()
        + unit
        + ": "
        + parameter.meaning()
        + choices;
  }

  private static ObjectNode json(PolicyCatalog catalog, PolicyLookup lookup) {
    ObjectNode root = Json.object();
    ArrayNode presets = root.putArray("presets");
    for (Preset preset : catalog.presets()) {
      ObjectNode node = presets.addObject();
      node.put("name", preset.name()).put("summary", preset.summary());
      ResultJson.put(node.putObject("plan"), preset.plan());
    }
    ArrayNode policies = root.putArray("policies");
    for (PolicyFactory<?> policy : catalog.policies()) {
      ObjectNode node = policies.addObject();
      node.put("kind", policy.kind().label()).put("name", policy.name());
      node.put("summary", policy.summary()).put("description", policy.description());
      ArrayNode parameters = node.putArray("parameters");
      for (Parameter p : policy.parameters()) {
        ObjectNode parameter = parameters.addObject();
        parameter.put("name", p.name()).put("type", Json.word(p.type()));
        parameter.put("default", p.defaultValue()).put("unit", p.unit());
        parameter.put("meaning", p.meaning());
        ArrayNode choices = parameter.putArray("choices");
        p.choices().forEach(choices::add);
      }
      ArrayNode evidence = node.putArray("evidence");
      required(policy, lookup).forEach(e -> evidence.add(Json.word(e)));
    }
    return root;
  }

  private static String evidence(PolicyFactory<?> policy, PolicyLookup lookup) {
    return required(policy, lookup).stream().map(Json::word).collect(Collectors.joining(", "));
  }

  /** Returns what a policy with its defaults looks at. */
  private static Set<Evidence> required(PolicyFactory<?> policy, PolicyLookup lookup) {
    return switch (policy.create(Map.of(), lookup)) {
      case ChunkScorer scorer -> new TreeSet<>(scorer.requires());
      case Selector selector -> new TreeSet<>(selector.requires());
      case TokenScorer scorer -> new TreeSet<>(scorer.requires());
      case CalibrationPolicy calibration -> {
        var evidence = new TreeSet<Evidence>();
        for (int layer = 0; layer < LAYERS; layer++) {
          evidence.addAll(calibration.requires(layer, LAYERS));
        }
        yield evidence;
      }
      default -> Set.of();
    };
  }
}
