package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The tutorial shows the whole source of the backend in integration-tests/backend and no other. */
class TutorialTest {
  private static final Path TUTORIAL = Path.of("../docs/writing-a-backend.md");
  private static final Path BACKEND = Path.of("backend");

  /** A block of code is opened by its language and the name of the file that it is from. */
  private static final Pattern BLOCK =
      Pattern.compile("^```(.*?)\\n(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL);

  /** Returns the lines of code that the tutorial shows of each file. */
  private static Map<String, List<String>> shown() throws IOException {
    var shown = new TreeMap<String, List<String>>();
    BLOCK
        .matcher(Files.readString(TUTORIAL))
        .results()
        .forEach(
            block -> {
              String[] opening = block.group(1).split(" ");
              assertEquals(2, opening.length, "a block that names no file: " + block.group(1));
              shown
                  .computeIfAbsent(opening[1], name -> new ArrayList<>())
                  .addAll(code(block.group(2)));
            });
    return shown;
  }

  /** Returns the files of the project, by name. */
  private static Map<String, Path> sources() throws IOException {
    var sources = new TreeMap<String, Path>();
    try (var all = Files.walk(BACKEND.resolve("src"))) {
      all.filter(Files::isRegularFile)
          .forEach(file -> sources.put(file.getFileName().toString(), file));
    }
    sources.put("pom.xml", BACKEND.resolve("pom.xml"));
    return sources;
  }

  /** Empty lines may be left out where a block begins or ends. */
  private static List<String> code(String text) {
    return text.lines().filter(line -> !line.isBlank()).toList();
  }

  @Test
  void everyFileIsShownAndNoOther() throws IOException {
    assertEquals(sources().keySet(), shown().keySet());
  }

  @TestFactory
  List<DynamicTest> everyLineIsShownInItsOrder() throws IOException {
    Map<String, List<String>> shown = shown();
    var tests = new ArrayList<DynamicTest>();
    sources()
        .forEach(
            (name, file) ->
                tests.add(
                    DynamicTest.dynamicTest(
                        name,
                        () ->
                            assertEquals(
                                String.join("\n", code(Files.readString(file))),
                                String.join("\n", shown.getOrDefault(name, List.of()))))));
    return tests;
  }

  /** The rules that it speaks of exist. */
  @Test
  void everyRuleThatItNamesIsInTheSpecification() throws IOException {
    String rules = Files.readString(Path.of("../docs/spec/backend.md"));
    List<String> named =
        Pattern.compile("\\bB\\d{3}\\b")
            .matcher(Files.readString(TUTORIAL))
            .results()
            .map(rule -> rule.group())
            .distinct()
            .toList();
    assertTrue(named.size() > 30, named.toString());
    named.forEach(rule -> assertTrue(rules.contains("\n| " + rule + " |"), rule + " is no rule"));
  }
}
