package org.parallelcomp.eval.cases;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How an answer is compared with what must be answered. Every score is from 0 to 1. */
public enum Scoring {
  /** RULER's {@code string_match_all}: the share of the references that the answer contains. */
  STRING_MATCH_ALL {
    @Override
    public double score(String answer, List<String> references) {
      return references.stream().mapToDouble(r -> contains(answer, r) ? 1 : 0).average().orElse(0);
    }
  },
  /** RULER's {@code string_match_part}: 1 if the answer contains any of the references. */
  STRING_MATCH_PART {
    @Override
    public double score(String answer, List<String> references) {
      return references.stream().anyMatch(r -> contains(answer, r)) ? 1 : 0;
    }
  },
  /** 1 if every reference is among the whole numbers of the answer, in any order. */
  NUMBERS {
    @Override
    public double score(String answer, List<String> references) {
      return Arrays.asList(answer.split("[^0-9]+")).containsAll(references) ? 1 : 0;
    }
  },
  /** InfiniteBench's pass key and number string: 1 if the answer's first number is the one. */
  FIRST_NUMBER {
    @Override
    public double score(String answer, List<String> references) {
      Matcher number = Pattern.compile("\\d+").matcher(answer);
      return number.find() && references.contains(number.group()) ? 1 : 0;
    }
  },
  /** InfiniteBench's key-value retrieval: 1 if a word of the answer is the value. */
  WORD {
    @Override
    public double score(String answer, List<String> references) {
      List<String> words = Arrays.asList(answer.split("[\\s:\"'.,?!{}]+"));
      return references.stream().anyMatch(words::contains) ? 1 : 0;
    }
  },
  /** 1 if the answer contains every reference, capitals as they are. */
  CONTAINS {
    @Override
    public double score(String answer, List<String> references) {
      return references.stream().allMatch(answer::contains) ? 1 : 0;
    }
  },
  /** 1 if the answer is one of the references, but for white space around it. */
  EXACT {
    @Override
    public double score(String answer, List<String> references) {
      return references.stream().anyMatch(r -> r.strip().equals(answer.strip())) ? 1 : 0;
    }
  },
  /** The best F1 of words over the references, without punctuation and articles (SQuAD). */
  F1 {
    @Override
    public double score(String answer, List<String> references) {
      return references.stream().mapToDouble(r -> f1(words(answer), words(r))).max().orElse(0);
    }
  };

  /**
   * Returns what an answer scores.
   *
   * @param answer as the model gave it
   * @param references what must be answered; the rules differ in whether all or any of them must
   * @return from 0 to 1
   */
  public abstract double score(String answer, List<String> references);

  private static boolean contains(String answer, String reference) {
    return answer.toLowerCase(Locale.ROOT).contains(reference.toLowerCase(Locale.ROOT));
  }

  private static List<String> words(String text) {
    return Arrays.stream(
            text.toLowerCase(Locale.ROOT)
                .replaceAll("[^\\p{L}\\p{N}\\s]", "")
                .replaceAll("\\b(a|an|the)\\b", " ")
                .strip()
                .split("\\s+"))
        .filter(word -> !word.isEmpty())
        .toList();
  }

  /** 2 p r / (p + r) of the words that both have, each as often as in the one with fewer. */
  private static double f1(List<String> answer, List<String> reference) {
    Map<String, Integer> left = new HashMap<>();
    reference.forEach(word -> left.merge(word, 1, Integer::sum));
    int common = 0;
    for (String word : answer) {
      if (left.merge(word, -1, Integer::sum) >= 0) {
        common++;
      }
    }
    if (common == 0) {
      return answer.isEmpty() && reference.isEmpty() ? 1 : 0;
    }
    double precision = (double) common / answer.size();
    double recall = (double) common / reference.size();
    return 2 * precision * recall / (precision + recall);
  }
}
