package org.parallelcomp.eval;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.eval.cases.Scoring;

/**
 * What is evaluated: everything that the cases and their order depend on, so that a result file can
 * be repeated from it.
 *
 * @param kind what is measured
 * @param methods ways to answer, each as {@link Method} describes them
 * @param tasks kinds of question, by name; of a data file none
 * @param lengths tokens of the texts
 * @param depths where the needle stands, from 0 to 1; only for {@link Kind#NEEDLE}
 * @param samples cases of each cell, or passages of each length
 * @param seed of the cases; 0 gives those of docs/retrieval.md
 * @param filler books that needles are hidden in or passages are taken from; empty for repeated
 *     noise
 * @param words whose words stand around text and question
 * @param lead whether answers are made to begin with words of the question; null where the
 *     benchmark's own words say so
 * @param instruction words before the text, or null for those that {@code words} says
 * @param questionForm words around the question, or null for those that {@code words} says
 * @param maxTokens the most tokens of an answer, or 0 for what the task says
 * @param data questions of a user's own, or null
 * @param scoring how their answers are compared
 * @param scoredTokens tokens of each passage whose likelihood is measured
 * @param questionTokens tokens before them that stand in the place of the question
 * @param kvBytes keys and values that each method may keep, or 0 for what its plan says
 * @param fidelityTokens length at which methods are compared with full attention, or 0 for not
 * @param contexts how often a context of the data file is read that has several questions; {@link
 *     Contexts#ANEW} for all other kinds, and in files from before there was a choice
 */
public record EvalSpec(
    Kind kind,
    List<String> methods,
    List<String> tasks,
    List<Integer> lengths,
    List<Double> depths,
    int samples,
    long seed,
    List<FileFact> filler,
    Words words,
    @Nullable Boolean lead,
    @Nullable String instruction,
    @Nullable String questionForm,
    int maxTokens,
    @Nullable FileFact data,
    Scoring scoring,
    int scoredTokens,
    int questionTokens,
    long kvBytes,
    int fidelityTokens,
    Contexts contexts) {
  /** What is measured. */
  public enum Kind {
    /** Whether a needle is found, over length and depth. */
    NEEDLE,
    /** Scores of tasks, over length. */
    RETRIEVAL,
    /** Perplexity, over length. */
    PPL,
    /** Quality, bytes, time and fidelity of methods side by side. */
    COMPARE,
    /** Where the question's attention goes in each layer, and its shape. */
    BIAS,
    /** Scores of a user's own questions. */
    JSONL
  }

  /** Whose words stand around text and question. */
  public enum Words {
    /** Those of the benchmark that the task is from, where it has some. */
    TASK,
    /** Those that suit the model. */
    MODEL
  }

  /** How often a context is read that has several questions. */
  public enum Contexts {
    /** Once where that gives the same answers, since the plan looks at no question; else anew. */
    AUTO,
    /** Anew for each question. */
    ANEW,
    /** Once, where plans look at a question by all of the context's questions together. */
    JOINT,
    /** Once, before any question; plans that score chunks by the question are refused. */
    UNSEEN
  }

  public EvalSpec {
    contexts = contexts == null ? Contexts.ANEW : contexts;
    methods = List.copyOf(methods);
    tasks = List.copyOf(tasks);
    lengths = List.copyOf(lengths);
    depths = List.copyOf(depths);
    filler = List.copyOf(filler);
    check(!methods.isEmpty(), "An evaluation needs at least one plan.");
    check(
        methods.stream().map(String::strip).distinct().count() == methods.size(),
        "A plan is named twice.");
    check(samples >= 1, "There must be at least 1 sample, not " + samples + ".");
    check(
        kind == Kind.JSONL || !lengths.isEmpty() && lengths.stream().allMatch(l -> l >= 64),
        "Lengths must be at least 64 tokens.");
    check(
        kind != Kind.NEEDLE || !depths.isEmpty() && depths.stream().allMatch(d -> d >= 0 && d <= 1),
        "Depths must be from 0 to 1.");
    check(
        maxTokens >= 0, "The most tokens of an answer must be at least 1, not " + maxTokens + ".");
    check(kind != Kind.JSONL || data != null, "Which file holds the questions?");
    check(
        kind != Kind.PPL || !filler.isEmpty(),
        "Perplexity needs text that was written by somebody: name a book by --filler.");
    check(
        kind != Kind.PPL || scoredTokens >= 1 && questionTokens >= 1,
        "At least 1 token must be scored, and 1 stand in the place of the question.");
    check(
        kvBytes >= 0 && fidelityTokens >= 0,
        "Bytes of keys and values and the length of the comparison cannot be negative.");
  }

  private static void check(boolean holds, String sentence) {
    if (!holds) {
      throw new InferenceException(ErrorCode.INVALID_ARGUMENT, sentence);
    }
  }
}
