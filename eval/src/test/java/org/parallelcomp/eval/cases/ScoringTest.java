package org.parallelcomp.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Answers written and scored by hand. */
class ScoringTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          STRING_MATCH_ALL  | The numbers are 12 and 34.       | 12;34       | 1
          STRING_MATCH_ALL  | The number is 34.                | 12;34       | 0.5
          STRING_MATCH_ALL  | none of them                     | 12;34       | 0
          STRING_MATCH_ALL  | BRAVE-Lantern it is              | brave-lantern | 1
          STRING_MATCH_ALL  | 112 is within 91123              | 112         | 1
          STRING_MATCH_PART | The number is 34.                | 12;34       | 1
          STRING_MATCH_PART | The number is 56.                | 12;34       | 0
          NUMBERS           | 59502. Remember it.              | 59502       | 1
          NUMBERS           | 595021                           | 59502       | 0
          NUMBERS           | 4110001 and 4016310.             | 4016310;4110001 | 1
          NUMBERS           | 4016310                          | 4016310;4110001 | 0
          FIRST_NUMBER      | It is 71432, not 5.              | 71432       | 1
          FIRST_NUMBER      | Of 5 keys it is 71432            | 71432       | 0
          FIRST_NUMBER      | no number at all                 | 71432       | 0
          WORD              | {"a-1": "b-2"}                   | b-2         | 1
          WORD              | b-23                             | b-2         | 0
          CONTAINS          | It is in the lighthouse.         | lighthouse  | 1
          CONTAINS          | It is in the Lighthouse.         | lighthouse  | 0
          EXACT             | yes                              | no;yes      | 1
          EXACT             | yes.                             | yes         | 0
          F1                | The cat sat on a mat             | cat on mat  | 0.857142857
          F1                | nothing alike                    | cat on mat  | 0
          F1                | a cat                            | dog;the cat! | 1
          """)
  void scoresAsByHand(Scoring scoring, String answer, String references, double expected) {
    assertEquals(expected, scoring.score(answer, List.of(references.split(";"))), 1e-9);
  }

  @Test
  void anEmptyAnswerScoresNothing() {
    for (Scoring scoring : Scoring.values()) {
      assertEquals(0, scoring.score("", List.of("12345")), scoring.name());
    }
  }

  /** A word that stands twice in the answer counts once if the reference has it once. */
  @Test
  void repeatedWordsCountOnce() {
    // One common word: precision 1/3, recall 1/2, F1 = 2 (1/3) (1/2) / (5/6) = 0.4.
    assertEquals(0.4, Scoring.F1.score("red red red", List.of("red house")), 1e-12);
  }
}
