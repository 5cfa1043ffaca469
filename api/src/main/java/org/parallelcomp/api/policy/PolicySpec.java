package org.parallelcomp.api.policy;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * A policy by name, with those parameters that differ from its defaults. Its text form is {@code
 * name} or {@code name(parameter=value, …)}. A value may be a policy in this form, or a list {@code
 * [value, value]}; a comma in a value must stand inside parentheses or brackets, which must match.
 *
 * @param name the policy's name
 * @param parameters given values, by parameter name
 */
public record PolicySpec(String name, Map<String, String> parameters) {
  private static final Pattern NAME = Pattern.compile("[^\\s()\\[\\]=,]+");

  public PolicySpec {
    parameters = Collections.unmodifiableMap(new TreeMap<>(parameters));
  }

  /** Returns a policy with its defaults. */
  public static PolicySpec of(String name) {
    return new PolicySpec(name, Map.of());
  }

  /**
   * Returns the policy that a text describes.
   *
   * @throws InferenceException INVALID_ARGUMENT if the text is not of the form
   */
  public static PolicySpec parse(String text) {
    String trimmed = text.strip();
    int open = trimmed.indexOf('(');
    String name = open < 0 ? trimmed : trimmed.substring(0, open).strip();
    if (!NAME.matcher(name).matches() || (open >= 0 && !trimmed.endsWith(")"))) {
      throw malformed(text);
    }
    var parameters = new TreeMap<String, String>();
    String inside = open < 0 ? "" : trimmed.substring(open + 1, trimmed.length() - 1);
    for (String pair : split(inside, text)) {
      int equals = pair.indexOf('=');
      if (equals < 0
          || parameters.put(pair.substring(0, equals).strip(), pair.substring(equals + 1).strip())
              != null) {
        throw malformed(text);
      }
    }
    return new PolicySpec(name, parameters);
  }

  /**
   * Returns the values of a list {@code [value, value]}; a text without brackets is a list of one.
   *
   * @throws InferenceException INVALID_ARGUMENT if brackets or parentheses do not match
   */
  public static List<String> parseList(String text) {
    String trimmed = text.strip();
    boolean bracketed = trimmed.startsWith("[") && trimmed.endsWith("]");
    return split(bracketed ? trimmed.substring(1, trimmed.length() - 1) : trimmed, text);
  }

  /** Splits at the commas outside of parentheses and brackets. */
  private static List<String> split(String inside, String whole) {
    var parts = new ArrayList<String>();
    var open = new ArrayDeque<Character>();
    int from = 0;
    for (int i = 0; i < inside.length(); i++) {
      char c = inside.charAt(i);
      if (c == '(' || c == '[') {
        open.push(c);
      } else if (c == ')' || c == ']') {
        if (open.isEmpty() || open.pop() != (c == ')' ? '(' : '[')) {
          throw malformed(whole);
        }
      } else if (c == ',' && open.isEmpty()) {
        parts.add(inside.substring(from, i).strip());
        from = i + 1;
      }
    }
    if (!open.isEmpty()) {
      throw malformed(whole);
    }
    if (!inside.isBlank()) {
      parts.add(inside.substring(from).strip());
    }
    return parts;
  }

  private static InferenceException malformed(String text) {
    return new InferenceException(
        ErrorCode.INVALID_ARGUMENT,
        "'" + text + "' is not of the form name(parameter=value, parameter=value).");
  }

  /** Returns this policy with one parameter set. */
  public PolicySpec with(String parameter, Object value) {
    var changed = new TreeMap<>(parameters);
    changed.put(parameter, value.toString());
    return new PolicySpec(name, changed);
  }

  @Override
  public String toString() {
    return parameters.isEmpty()
        ? name
        : parameters.entrySet().stream()
            .map(e -> e.getKey() + "=" + e.getValue())
            .collect(Collectors.joining(", ", name + "(", ")"));
  }
}
