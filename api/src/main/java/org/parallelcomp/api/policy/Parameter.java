package org.parallelcomp.api.policy;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.InferenceException;

/**
 * One parameter of a policy.
 *
 * @param name its name in kebab form
 * @param type how its text is read
 * @param defaultValue its value where none is given, as text
 * @param unit the unit of its value, or an empty string
 * @param meaning one line on what it does
 * @param minimum the least value of a number
 * @param maximum the greatest value of a number
 * @param choices the words allowed for {@link Type#CHOICE}
 * @param policyKind the kind of the policies of {@link Type#POLICY} and {@link Type#POLICIES}, null
 *     for other types
 */
public record Parameter(
    String name,
    Type type,
    String defaultValue,
    String unit,
    String meaning,
    double minimum,
    double maximum,
    List<String> choices,
    @Nullable PolicyKind policyKind) {
  /** How the text of a parameter is read. */
  public enum Type {
    /** A whole number. */
    INTEGER,
    /** A number. */
    NUMBER,
    /** true or false. */
    FLAG,
    /** One of {@link Parameter#choices()}. */
    CHOICE,
    /** A policy of {@link Parameter#policyKind()}, in the form of {@link PolicySpec}. */
    POLICY,
    /** A list {@code [policy, policy]} of at least one. */
    POLICIES,
    /** Any text; the policy's constructor says what it accepts. */
    TEXT
  }

  public Parameter {
    choices = List.copyOf(choices);
    String fault = fault(type, defaultValue, minimum, maximum, choices);
    if (fault != null) {
      throw new IllegalArgumentException("default of " + name + " " + fault);
    }
  }

  /** Returns a parameter that is a whole number of at least {@code minimum}. */
  public static Parameter integer(
      String name, long defaultValue, long minimum, String unit, String meaning) {
    return new Parameter(
        name,
        Type.INTEGER,
        Long.toString(defaultValue),
        unit,
        meaning,
        minimum,
        Long.MAX_VALUE,
        List.of(),
        null);
  }

  /** Returns a parameter that is a number in {@code [minimum, maximum]}. */
  public static Parameter number(
      String name,
      double defaultValue,
      double minimum,
      double maximum,
      String unit,
      String meaning) {
    return new Parameter(
        name,
        Type.NUMBER,
        Double.toString(defaultValue),
        unit,
        meaning,
        minimum,
        maximum,
        List.of(),
        null);
  }

  /** Returns a parameter that is true or false. */
  public static Parameter flag(String name, boolean defaultValue, String meaning) {
    return new Parameter(
        name, Type.FLAG, Boolean.toString(defaultValue), "", meaning, 0, 0, List.of(), null);
  }

  /** Returns a parameter that is one of some words, the first being the default. */
  public static Parameter choice(String name, String meaning, String... choices) {
    return new Parameter(name, Type.CHOICE, choices[0], "", meaning, 0, 0, List.of(choices), null);
  }

  /** Returns a parameter that is text of a form that its meaning describes. */
  public static Parameter text(String name, String defaultValue, String meaning) {
    return new Parameter(name, Type.TEXT, defaultValue, "", meaning, 0, 0, List.of(), null);
  }

  /**
   * Returns a parameter that is itself a policy, which {@link Parameters#policy} gives ready made.
   *
   * @param defaultValue in the form of {@link PolicySpec}
   */
  public static Parameter policy(
      String name, PolicyKind kind, String defaultValue, String meaning) {
    return new Parameter(name, Type.POLICY, defaultValue, "", meaning, 0, 0, List.of(), kind);
  }

  /**
   * Returns a parameter that is a list of policies, which {@link Parameters#policies} gives ready
   * made.
   *
   * @param defaultValue as in {@code [first, second(parameter=1)]}
   */
  public static Parameter policies(
      String name, PolicyKind kind, String defaultValue, String meaning) {
    return new Parameter(name, Type.POLICIES, defaultValue, "", meaning, 0, 0, List.of(), kind);
  }

  /** Returns what is wrong with a value, as the end of a sentence, or null if nothing is. */
  public @Nullable String fault(String value) {
    return fault(type, value, minimum, maximum, choices);
  }

  private static @Nullable String fault(
      Type type, String value, double minimum, double maximum, List<String> choices) {
    return switch (type) {
      case TEXT -> null;
      case POLICY, POLICIES -> {
        try {
          List<String> parts = type == Type.POLICY ? List.of(value) : PolicySpec.parseList(value);
          parts.forEach(PolicySpec::parse);
          yield parts.isEmpty() ? "must name at least one policy" : null;
        } catch (InferenceException e) {
          yield "is no policy: " + e.getMessage().substring(0, e.getMessage().length() - 1);
        }
      }
      case FLAG ->
          value.equals("true") || value.equals("false")
              ? null
              : "must be true or false, not '" + value + "'";
      case CHOICE ->
          choices.contains(value)
              ? null
              : "must be one of " + String.join(", ", choices) + ", not '" + value + "'";
      case INTEGER, NUMBER -> {
        String kind = type == Type.INTEGER ? "a whole number" : "a number";
        try {
          double number = type == Type.INTEGER ? Long.parseLong(value) : Double.parseDouble(value);
          yield number >= minimum && number <= maximum
              ? null
              : "must be " + kind + " " + range(type, minimum, maximum) + ", not " + value;
        } catch (NumberFormatException e) {
          yield "must be " + kind + ", not '" + value + "'";
        }
      }
    };
  }

  private static String range(Type type, double minimum, double maximum) {
    String from = type == Type.INTEGER ? Long.toString((long) minimum) : Double.toString(minimum);
    return maximum == Long.MAX_VALUE ? "of at least " + from : "from " + from + " to " + maximum;
  }
}
