package org.parallelcomp.eval;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Something in which two results differ.
 *
 * @param where the case, or "environment" for what they were made with
 * @param what which figure
 * @param before as it was
 * @param now as it is
 */
public record Difference(String where, String what, String before, String now) {
  /**
   * Returns what two results were made with, where it differs. Such a difference may explain
   * others; it is none of the result.
   */
  public static List<Difference> ofEnvironments(Environment before, Environment now) {
    List<Difference> all = new ArrayList<>();
    String where = "environment";
    add(all, where, "model", before.model().sha256(), now.model().sha256());
    add(all, where, "template", before.templateSha256(), now.templateSha256());
    add(all, where, "stop tokens", before.stopTokens(), now.stopTokens());
    add(all, where, "backend", before.backend(), now.backend());
    add(all, where, "device", before.device(), now.device());
    add(all, where, "instruction set", before.isa(), now.isa());
    add(all, where, "threads", before.threads(), now.threads());
    add(all, where, "backend options", before.backendOptions(), now.backendOptions());
    add(all, where, "devices", before.devices(), now.devices());
    add(all, where, "version", before.version(), now.version());
    add(all, where, "Java", before.java(), now.java());
    add(all, where, "system", before.system(), now.system());
    return all;
  }

  /**
   * Returns in which cases two results of the same specification differ; times are not compared,
   * and bytes only where {@link Environment#computesLike} says so: each backend has its own type of
   * keys and values.
   *
   * @param tolerance largest relative difference of perplexities' and divergences' nats that counts
   *     as none, and largest difference of an attention's share
   */
  public static List<Difference> ofCases(EvalResult before, EvalResult now, double tolerance) {
    boolean alike = before.environment().computesLike(now.environment());
    Map<String, CaseResult> again = new HashMap<>();
    now.cases().forEach(result -> again.put(result.key(), result));
    List<Difference> all = new ArrayList<>();
    for (CaseResult was : before.cases()) {
      CaseResult is = again.get(was.key());
      if (is == null) {
        all.add(new Difference(was.key(), "case", "done", "missing"));
        continue;
      }
      add(all, was.key(), "score", was.score(), is.score());
      add(all, was.key(), "answer", was.answer(), is.answer());
      add(all, was.key(), "error", was.error(), is.error());
      add(all, was.key(), "finish", was.finish(), is.finish());
      add(all, was.key(), "tokens of the text", was.textTokens(), is.textTokens());
      add(all, was.key(), "kept chunks", was.keptChunks(), is.keptChunks());
      if (alike) {
        add(all, was.key(), "kept bytes", was.keptBytes(), is.keptBytes());
      }
      addNear(all, was.key(), "nats", was.nats(), is.nats(), tolerance);
      addNear(all, was.key(), "divergence", was.divergence(), is.divergence(), tolerance);
      addAttention(all, was, is, tolerance);
    }
    return all;
  }

  private static void add(
      List<Difference> all,
      String where,
      String what,
      @Nullable Object before,
      @Nullable Object now) {
    if (!Objects.equals(before, now)) {
      all.add(new Difference(where, what, String.valueOf(before), String.valueOf(now)));
    }
  }

  private static void addAttention(
      List<Difference> all, CaseResult before, CaseResult now, double tolerance) {
    List<LayerAttention> was = Objects.requireNonNullElse(before.attention(), List.of());
    List<LayerAttention> is = Objects.requireNonNullElse(now.attention(), List.of());
    if (was.size() != is.size()) {
      add(all, before.key(), "layers and stages observed", was.size(), is.size());
      return;
    }
    for (int i = 0; i < was.size(); i++) {
      if (was.get(i).massesDifferBy(is.get(i)) > tolerance) {
        add(all, before.key(), "attention", was.get(i), is.get(i));
      }
    }
  }

  private static void addNear(
      List<Difference> all,
      String where,
      String what,
      @Nullable Double before,
      @Nullable Double now,
      double tolerance) {
    if (before == null || now == null) {
      add(all, where, what, before, now);
    } else if (Math.abs(before - now) > tolerance * Math.max(Math.abs(before), 1e-3)) {
      add(all, where, what, before, now);
    }
  }
}
