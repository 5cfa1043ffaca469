package org.parallelcomp.conformance.tool;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;

/** Prints a row for each rule when it is done, at the end what failed, and counts. */
final class RuleTable implements TestExecutionListener {
  /** {@code required_B211_topKIsSorted}. */
  private static final Pattern RULE = Pattern.compile("([a-z]+)_([A-Z]\\d+)_(\\w+)");

  private static final class Row {
    final long begin = System.nanoTime();
    int cases;
    final List<String> failures = new ArrayList<>();
  }

  private final PrintWriter out;
  private final long begin = System.nanoTime();
  private final Map<String, Row> running = new LinkedHashMap<>();
  private final List<String> failures = new ArrayList<>();
  private int held;
  private int broken;
  private int untested;
  private int cases;

  RuleTable(PrintWriter out) {
    this.out = out;
  }

  private static String method(TestIdentifier test) {
    return test.getSource()
        .filter(MethodSource.class::isInstance)
        .map(source -> ((MethodSource) source).getMethodName())
        .orElse("");
  }

  @Override
  public void executionStarted(TestIdentifier test) {
    running.computeIfAbsent(method(test), name -> new Row());
  }

  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    String name = method(test);
    Row row = running.get(name);
    if (row == null) {
      return;
    }
    if (result.getStatus() != TestExecutionResult.Status.SUCCESSFUL) {
      row.failures.add(result.getThrowable().map(Throwable::getMessage).orElse("aborted"));
    }
    row.cases += test.isTest() ? 1 : 0;
    // The cases of a rule have their rule's source; the rule itself is the one that JUnit planned.
    if (!test.getUniqueId().contains("[dynamic-test:")) {
      running.remove(name);
      finish(name, row);
    }
  }

  private void finish(String name, Row row) {
    cases += row.cases;
    Matcher rule = RULE.matcher(name);
    if (!rule.matches()) {
      // A class; it can fail where its provider cannot be asked.
      failures.addAll(row.failures);
      broken += row.failures.isEmpty() ? 0 : 1;
      return;
    }
    boolean holds = row.failures.isEmpty();
    held += holds ? 1 : 0;
    broken += holds ? 0 : 1;
    row.failures.forEach(failure -> failures.add(rule.group(2) + ": " + failure));
    row(rule, holds ? "holds" : "BROKEN", seconds(row.begin));
  }

  @Override
  public void executionSkipped(TestIdentifier test, String reason) {
    Matcher rule = RULE.matcher(method(test));
    // Others were not asked for.
    if (rule.matches() && rule.group(1).equals("untested")) {
      untested++;
      row(rule, "untested", "");
    }
  }

  private void row(Matcher rule, String result, String time) {
    out.printf(
        Locale.ROOT, "%-5s %-9s %9s  %s%n", rule.group(2), result, time, words(rule.group(3)));
    out.flush();
  }

  private static String words(String name) {
    return name.replaceAll("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ")
        .toLowerCase(Locale.ROOT);
  }

  private static String seconds(long since) {
    return String.format(Locale.ROOT, "%.2f s", (System.nanoTime() - since) / 1e9);
  }

  /** Prints what failed, and the counts. */
  void summarise() {
    failures.forEach(failure -> out.println("\n" + failure.strip()));
    out.printf(
        Locale.ROOT,
        "%n%d rules: %d hold, %d broken, %d untested; %d cases in %s%n",
        held + broken + untested,
        held,
        broken,
        untested,
        cases,
        seconds(begin));
    out.flush();
  }

  /** Returns whether something was tested and nothing failed. */
  boolean allHold() {
    return held > 0 && broken == 0;
  }
}
