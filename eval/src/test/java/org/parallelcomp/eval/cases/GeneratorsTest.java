package org.parallelcomp.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.eval.Bundled;

/** Cases are what their tasks say, and the same for ever. */
class GeneratorsTest {
  private static Engine engine;
  private static Filler books;
  private static Filler noise;

  @BeforeAll
  static void open() throws IOException {
    engine = Engine.open(Bundled.config());
    books = Filler.books(engine::tokenize, Bundled.texts());
    noise = Filler.noise(engine::tokenize);
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  /** These are the cases that docs/retrieval.md counts, as they were before they moved here. */
  @ParameterizedTest
  @CsvSource({
    "PASSKEY, 0, e9f57122c5999cdb608af2f90306fed365d4f0b8ba5f96aa7a4b748c5eb2ea94, 59502",
    "PASSKEY, 7, 6367519f073f994d4bf317abdafeeb8f52146c9c4a792a35240e93b3dc8f137f, 26965",
    "NUMBER, 0, 53cce0c4a932d18833b61afa9e9b20c828e1f690bdcc3a86511903db4c8ab019, 1440394",
    "NUMBER, 7, 4beb00c0a5ff6574cea5fc23c6c96e16a5f3dcc6a5641038684ca1ea269cc7ba, 7689313",
    "MULTI, 0, fb74f1f0e262ae367ec631d445c0d0920e616795f55be6e7a73c98e03162f6eb, 6865720",
    "MULTI, 7, 53c6c047da74cfec6fc987f96a054719764896407b243ca68a156a3f91afacbb, 3341135",
    "FACT, 0, 56fdc862443224caa376bb8812bfd965e4062030508949f808482956b74f9dd6, cellar",
    "FACT, 7, a7a4b23816c243c587f766486d77fcfc71eecb0b572f7fc755a5ade6babe4089, chapel",
    "TWO, 0, 48ae36a6e4e20c0790b7d5df2cca48010c33aa37258877c7afd83151fecb775c, 4016310;4110001",
    "TWO, 7, 57465b8d7fcddd08fbead189ac616038ce5be334797da8faee47b12ab08c2f13, 3445132;4931190"
  })
  void hiddenFactsAreThoseOfTheDocumentedCounts(
      HiddenFacts.Task task, int index, String sha256, String answers) {
    EvalCase made = new HiddenFacts(books).create(task, 8192, index, 20);
    assertEquals(sha256, sha256(made.text() + "|" + made.question()));
    assertEquals(List.of(answers.split(";")), made.answers());
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1})
  void aNeedleStandsAtItsDepth(double depth) {
    for (Filler filler : List.of(books, noise)) {
      EvalCase made = new HiddenFacts(filler).create(HiddenFacts.Task.PASSKEY, 4096, depth, 3, 0);
      String needle = "The pass key is " + made.answers().getFirst() + ". Remember it.";
      int at = made.text().indexOf(needle);
      assertTrue(at >= 0, needle);
      String hay =
          made.text().replace(needle + " " + made.answers().getFirst() + " is the pass key. ", "");
      int wanted = (int) (depth * hay.length());
      int nextEnd = hay.indexOf(". ", wanted);
      assertEquals(nextEnd < 0 ? hay.length() : nextEnd + 2, at, "depth " + depth);
    }
  }

  @Test
  void seedsDepthsAndIndicesMakeOtherCases() {
    var facts = new HiddenFacts(books);
    String text = facts.create(HiddenFacts.Task.NUMBER, 4096, 0.5, 0, 0).text();
    assertEquals(text, facts.create(HiddenFacts.Task.NUMBER, 4096, 0.5, 0, 0).text());
    assertNotEquals(text, facts.create(HiddenFacts.Task.NUMBER, 4096, 0.5, 0, 1).text());
    assertNotEquals(text, facts.create(HiddenFacts.Task.NUMBER, 4096, 0.5, 4, 0).text());
    assertNotEquals(text, facts.create(HiddenFacts.Task.NUMBER, 4096, 0.6, 0, 0).text());
  }

  @ParameterizedTest
  @EnumSource
  void infiniteBenchHasItsAnswerAndItsLength(InfiniteBench.Task task) throws IOException {
    EvalCase made = new InfiniteBench(noise).create(task, 4096, 2, 5, 0);
    String answer = made.answers().getFirst();
    int tokens = engine.tokenize(made.text()).tokens();
    assertTrue(Math.abs(tokens - 4096) < 0.1 * 4096, task + " has " + tokens + " tokens");
    assertEquals(1, made.score(answer), made.toString());
    if (task == InfiniteBench.Task.KEY_VALUE) {
      JsonNode records =
          new ObjectMapper().readTree(made.text().substring("JSON data:\n".length()));
      Matcher key = Pattern.compile("\"(.*)\"").matcher(made.question());
      assertTrue(key.find());
      assertEquals(answer, records.path(key.group(1)).textValue());
      assertTrue(records.size() > 20, "records: " + records.size());
    } else {
      assertEquals(2, made.text().split(answer, -1).length - 1, "said twice");
      double at = (double) made.text().indexOf(answer) / made.text().length();
      assertEquals(0.5, at, 0.02, "in the middle");
    }
  }

  @ParameterizedTest
  @EnumSource
  void rulerHasItsAnswersAndItsLength(Ruler.Task task) {
    EvalCase made = new Ruler(books, noise).create(task, 4096, 1, 0);
    int tokens = engine.tokenize(made.text()).tokens();
    assertTrue(Math.abs(tokens - 4096) < 0.15 * 4096, task + " has " + tokens + " tokens");
    assertEquals(1, made.score(String.join(", ", made.answers())));
    for (String answer : made.answers()) {
      assertTrue(made.text().contains(answer), answer + " is in the text");
      assertTrue(!made.question().contains(answer), answer + " is not in the question");
    }
    int answers =
        switch (task) {
          case NIAH_MULTIVALUE, NIAH_MULTIQUERY -> 4;
          case VT -> 5;
          case CWE -> 10;
          case FWE -> 3;
          default -> 1;
        };
    assertEquals(answers, made.answers().stream().distinct().count());
  }

  /** Follows the assignments as a reader would. */
  @Test
  void variablesAreHandedOnInOrder() {
    EvalCase made = new Ruler(books, noise).create(Ruler.Task.VT, 4096, 0, 0);
    Matcher value = Pattern.compile("value (\\d+)").matcher(made.question());
    assertTrue(value.find());
    Map<String, String> values = new java.util.LinkedHashMap<>();
    for (String line : made.text().split("\n")) {
      Matcher assigned = Pattern.compile("VAR (\\w+) = (VAR )?(\\w+)").matcher(line);
      if (assigned.matches()) {
        String right = assigned.group(3);
        values.put(assigned.group(1), assigned.group(2) == null ? right : values.get(right));
      }
    }
    assertEquals(
        made.answers(),
        values.entrySet().stream()
            .filter(e -> value.group(1).equals(e.getValue()))
            .map(Map.Entry::getKey)
            .toList());
  }

  @Test
  void commonWordsAreTheMostCommon() {
    EvalCase made = new Ruler(books, noise).create(Ruler.Task.CWE, 8192, 0, 0);
    Map<String, Long> counts = counts(made.text().replaceAll("\\d+\\. ", ""));
    made.answers().forEach(word -> assertEquals(30, counts.get(word), word));
    counts.keySet().removeAll(made.answers());
    assertEquals(List.of(3L), counts.values().stream().distinct().toList());
  }

  @Test
  void frequentWordsAreTheMostFrequentButForTheDots() {
    EvalCase made = new Ruler(books, noise).create(Ruler.Task.FWE, 8192, 0, 0);
    Map<String, Long> counts = counts(made.text());
    counts.remove("...");
    assertEquals(
        made.answers(),
        counts.entrySet().stream()
            .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
            .limit(3)
            .map(Map.Entry::getKey)
            .toList());
  }

  private static Map<String, Long> counts(String text) {
    return Arrays.stream(text.split(" "))
        .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()));
  }

  /** A change here makes published results of these tasks unrepeatable. */
  @Test
  void casesArePinned() {
    StringBuilder all = new StringBuilder();
    for (InfiniteBench.Task task : InfiniteBench.Task.values()) {
      all.append(new InfiniteBench(noise).create(task, 2048, 1, 4, 7)).append('\n');
    }
    for (Ruler.Task task : Ruler.Task.values()) {
      all.append(new Ruler(books, noise).create(task, 2048, 1, 7)).append('\n');
    }
    for (HiddenFacts.Task task : HiddenFacts.Task.values()) {
      all.append(new HiddenFacts(noise).create(task, 2048, 0.3, 1, 7)).append('\n');
    }
    all.append(Passage.of(books, 2048, 32, 64, 2, 7));
    assertEquals(
        "99419db7ee6b30f7fc3118fa63cdc7f49f8ecf59c62d11871dc8fb971f931892", sha256(all.toString()));
  }

  @Test
  void aPassageIsCutBeforeBlanksIntoThreeParts() {
    Passage passage = Passage.of(books, 2048, 32, 64, 1, 0);
    assertTrue(passage.question().startsWith(" "), passage.question());
    assertTrue(passage.continuation().size() <= 64 && passage.continuation().size() > 50);
    int question = engine.tokenize(passage.question()).tokens();
    assertTrue(question >= 25 && question <= 40, "question of " + question);
    int context = engine.tokenize(passage.context()).tokens();
    assertEquals(2048, context + question + passage.continuation().size(), 4);
  }

  private static String sha256(String text) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
