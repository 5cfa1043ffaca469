package org.parallelcomp.conformance;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;
import org.opentest4j.TestAbortedException;

/**
 * Runs one rule alone where {@link KitSettings#RULE} names one, and adds to every failure the
 * command that repeats it.
 */
final class OneRule implements ExecutionCondition, TestExecutionExceptionHandler {
  /** Returns the number in a test's name, {@code B211} in {@code required_B211_topKIsSorted}. */
  static String ruleOf(String testMethod) {
    String[] parts = testMethod.split("_", 3);
    if (parts.length < 3 || !parts[1].matches("[A-Z]\\d{3}")) {
      throw new IllegalArgumentException(testMethod + " has no rule's number in its name");
    }
    return parts[1];
  }

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    if (KitSettings.RULE == null || context.getTestMethod().isEmpty()) {
      return ConditionEvaluationResult.enabled("all rules run");
    }
    String rule = ruleOf(context.getRequiredTestMethod().getName());
    return rule.equals(KitSettings.RULE)
        ? ConditionEvaluationResult.enabled(rule + " was asked for")
        : ConditionEvaluationResult.disabled("only " + KitSettings.RULE + " was asked for");
  }

  @Override
  public void handleTestExecutionException(ExtensionContext context, Throwable failure)
      throws Throwable {
    if (failure instanceof TestAbortedException) {
      throw failure;
    }
    throw new AssertionError(
        failure + System.lineSeparator() + "Repeat with: " + command(context), failure);
  }

  private static String command(ExtensionContext context) {
    // The outermost instance is the subclass that names the backend.
    Object kit =
        context.getRequiredTestInstances().getEnclosingInstances().stream()
            .findFirst()
            .orElseGet(context::getRequiredTestInstance);
    return "mvn test -Dsurefire.failIfNoSpecifiedTests=false -Dtest="
        + kit.getClass().getSimpleName()
        + " -D"
        + KitSettings.RULE_PROPERTY
        + "="
        + ruleOf(context.getRequiredTestMethod().getName())
        + " -D"
        + KitSettings.SEED_PROPERTY
        + "="
        + KitSettings.SEED
        + (KitSettings.THOROUGH ? " -D" + KitSettings.THOROUGH_PROPERTY + "=true" : "");
  }
}
