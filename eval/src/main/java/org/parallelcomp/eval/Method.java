package org.parallelcomp.eval;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.RopeScaling;

/**
 * A way to answer, as a text: a preset, perhaps with changes.
 *
 * <pre>
 * PRESET + kind=policy(…) + kind.parameter=value + rope=ntk|yarn + cut=window|TOKENS
 * </pre>
 *
 * <p>{@code cut} leaves so many tokens of the text, the first and the last half of them, or for a
 * perplexity the last ones; {@code window} is as many as fit the trained window. {@code truncation}
 * is {@code full + cut=window}, {@code ntk} and {@code yarn} are {@code full} with positions scaled
 * as far as the text needs.
 *
 * @param text as it was given; names the method in results
 * @param plan how the text is worked out
 * @param ropeScaling how positions past the trained window are scaled
 * @param cutTokens tokens of the text that are left, {@link #WINDOW}, or {@link #UNCUT}
 */
public record Method(String text, Plan plan, RopeScaling ropeScaling, int cutTokens) {
  /** The whole text is worked out. */
  public static final int UNCUT = 0;

  /** As many tokens are left as fit the trained window. */
  public static final int WINDOW = -1;

  /**
   * Returns the method that a text describes.
   *
   * @param presets a plan by its preset's name
   * @throws InferenceException with what exists where a name does not
   */
  public static Method parse(String text, Function<String, Plan> presets) {
    String[] parts = expanded(text).split("\\s+\\+\\s+");
    Method method =
        new Method(text.strip(), presets.apply(parts[0].strip()), RopeScaling.NONE, UNCUT);
    for (String change : Arrays.asList(parts).subList(1, parts.length)) {
      method = method.changed(change.strip());
    }
    return method;
  }

  private static String expanded(String text) {
    String[] parts = text.strip().split("\\s+\\+\\s+", 2);
    String rest = parts.length < 2 ? "" : " + " + parts[1];
    return switch (parts[0]) {
      case "truncation" -> "full + cut=window" + rest;
      case "ntk" -> "full + rope=ntk" + rest;
      case "yarn" -> "full + rope=yarn" + rest;
      default -> parts[0] + rest;
    };
  }

  private Method changed(String change) {
    int equals = change.indexOf('=');
    if (equals < 1) {
      throw refusal("'" + change + "' is not of the form kind=policy or kind.parameter=value.");
    }
    String name = change.substring(0, equals).strip();
    String value = change.substring(equals + 1).strip();
    if (name.equals("rope")) {
      return new Method(text, plan, new RopeScaling(ropeMethod(value), 0), cutTokens);
    }
    if (name.equals("cut")) {
      return new Method(text, plan, ropeScaling, cut(value));
    }
    int dot = name.indexOf('.');
    PolicyKind kind = kind(dot < 0 ? name : name.substring(0, dot));
    return withPlan(
        dot < 0
            ? plan.with(kind, PolicySpec.parse(value))
            : plan.with(kind, name.substring(dot + 1), value));
  }

  /** Returns this method with another plan. */
  Method withPlan(Plan value) {
    return new Method(text, value, ropeScaling, cutTokens);
  }

  /** Returns this method with so many tokens of the text left. */
  Method withCut(int tokens) {
    return new Method(text, plan, ropeScaling, tokens);
  }

  private static RopeScaling.Method ropeMethod(String value) {
    return Arrays.stream(RopeScaling.Method.values())
        .filter(method -> label(method).equals(value))
        .findFirst()
        .orElseThrow(
            () ->
                Names.unknown(
                    "position scaling",
                    value,
                    Arrays.stream(RopeScaling.Method.values()).map(Method::label).toList()));
  }

  private static String label(RopeScaling.Method method) {
    return method.name().toLowerCase(Locale.ROOT);
  }

  private static int cut(String value) {
    if (value.equals("window")) {
      return WINDOW;
    }
    if (value.matches("[1-9][0-9]{0,8}")) {
      return Integer.parseInt(value);
    }
    throw refusal("'cut' must be 'window' or a number of tokens, not '" + value + "'.");
  }

  private static PolicyKind kind(String label) {
    List<PolicyKind> kinds = List.of(PolicyKind.values());
    return kinds.stream()
        .filter(kind -> kind.label().equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                Names.unknown(
                    "kind of policy", label, kinds.stream().map(PolicyKind::label).toList()));
  }

  private static InferenceException refusal(String sentence) {
    return new InferenceException(ErrorCode.INVALID_ARGUMENT, sentence);
  }
}
