package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.it.Command.Outcome;
import org.parallelcomp.models.needle6m.Needle6m;

/** The evaluations as they are shipped: files on disk, and what 'rerun' makes of them. */
@Tag("packaged")
class EvalLaunchTest {
  private static final List<String> JAVA =
      List.of(
          "--add-modules=ALL-MODULE-PATH,jdk.incubator.vector",
          "--enable-native-access=ALL-UNNAMED,ai.djl.tokenizers,com.sun.jna");

  @TempDir Path folder;

  @Test
  void anEvaluationWritesItsFilesAndIsRepeated() throws IOException {
    Outcome run =
        Command.onModulePath(
            JAVA,
            "eval",
            "needle",
            "--lengths=1K,2K",
            "--depths=0,100",
            "--out=" + folder,
            "--no-times");
    assertEquals("", run.err());
    assertEquals(0, run.status());
    assertTrue(run.out().startsWith("| method | depth | 1K | 2K |\n"), run.out());
    for (String ending : List.of("json", "csv", "md", "png", "svg", "cases.jsonl")) {
      assertTrue(Files.size(folder.resolve("needle." + ending)) > 100, ending);
    }

    Path result = folder.resolve("needle.json");
    Outcome rerun = Command.onModulePath(JAVA, "eval", "rerun", result.toString());
    assertEquals("All 4 cases are as they were.\n", rerun.out());
    assertEquals(0, rerun.status());

    String text = Files.readString(result);
    String tampered =
        text.replaceFirst("\"score\" : 1.0,\\s*\"nats\"", "\"score\" : 0.0, \"nats\"");
    assertTrue(!tampered.equals(text), text);
    Files.writeString(result, tampered);
    Outcome different = Command.onModulePath(JAVA, "eval", "rerun", result.toString());
    assertTrue(different.out().endsWith("1 of 4 cases differ: score in 1.\n"), different.out());
    assertEquals(1, different.status());
  }

  /** Options of another backend are not handed on, and its bytes not compared. */
  @Test
  void aResultOfAnotherBackendAndAnotherPlaceIsRepeated() throws IOException {
    Outcome run =
        Command.onModulePath(
            JAVA,
            "eval",
            "needle",
            "--lengths=1K",
            "--depths=100",
            "--out=" + folder,
            "--no-times",
            "--no-pictures");
    assertEquals(0, run.status(), run.err());
    Path result = folder.resolve("needle.json");
    String elsewhere =
        Files.readString(result)
            .replaceFirst("\"path\" : \"bundled\"", "\"path\" : \"/nowhere/model.gguf\"")
            .replaceFirst("\"backend\" : \"[^\"]*\"", "\"backend\" : \"elsewhere\"")
            .replaceFirst("\"backendOptions\" : \\{ *}", "\"backendOptions\" : {\"tiles\": \"9\"}")
            .replaceFirst(
                "\"keptBytes\" : [0-9]+,\\s*\"fullBytes\"", "\"keptBytes\" : 7, \"fullBytes\"");
    Path moved = Files.writeString(folder.resolve("moved.json"), elsewhere);

    Outcome lost = Command.onModulePath(JAVA, "eval", "rerun", "--backend=cpu-vector", moved + "");
    assertEquals(2, lost.status());
    assertTrue(lost.err().contains("'/nowhere/model.gguf', which is not there"), lost.err());

    Outcome both =
        Command.onModulePath(
            JAVA,
            "eval",
            "rerun",
            "--backend=cpu-vector",
            "--model=" + Needle6m.path(),
            moved.toString(),
            folder.resolve("none.json").toString(),
            result.toString());
    assertEquals(2, both.status(), "one file is not there");
    assertTrue(both.err().contains("none.json"), both.err());
    assertEquals(
        2, both.out().lines().filter("All 1 cases are as they were."::equals).count(), both.out());
    assertTrue(both.out().contains("another backend: \"elsewhere\" was"), both.out());
    assertEquals(
        1, both.out().lines().filter(line -> line.startsWith("Compared were")).count(), both.out());
  }

  /** The plan that looks at no question reads the context once, the other one anew. */
  @Test
  void severalQuestionsAreAskedAboutOneContext() throws IOException {
    String text =
        "Tom went home. ".repeat(40)
            + "Mira keeps the silver key in the lighthouse. "
            + "It rained all day. ".repeat(40)
            + "The special magic number for Lisbon is: 8412067. ";
    Path questions =
        Files.writeString(
            folder.resolve("questions.jsonl"),
            "{\"context\": \"TEXT\", \"question\": \"Where does Mira keep the silver key?\", \"answer\":"
                    .replace("TEXT", text)
                + " \"lighthouse\", \"max_new_tokens\": 16}\n"
                + "{\"context\": \"TEXT\", \"question\": \"What is the special magic number for"
                    .replace("TEXT", text)
                + " Lisbon?\", \"answer\": \"8412067\", \"max_new_tokens\": 12}\n");
    Outcome run =
        Command.onModulePath(
            JAVA,
            "eval",
            "jsonl",
            "--plan=parallelcomp + chunking.tokens=160 + budget.keep=80",
            "--plan=keydiff + budget.keep=150",
            "--out=" + folder,
            "--no-times",
            questions.toString());
    assertEquals("", run.err());
    assertEquals(0, run.status());
    assertTrue(
        run.out()
            .contains("| `parallelcomp + chunking.tokens=160 + budget.keep=80` | jsonl | 1.00"),
        run.out());
    assertTrue(run.out().contains("budget.keep=80`: read anew for each question (2"), run.out());
    assertTrue(run.out().contains("budget.keep=150`: read once for all"), run.out());

    Path result = folder.resolve("jsonl.json");
    assertTrue(Files.readString(result).contains("\"contexts\" : \"AUTO\""));
    Outcome rerun = Command.onModulePath(JAVA, "eval", "rerun", result.toString());
    assertEquals("All 4 cases are as they were.\n", rerun.out());

    Outcome unseen =
        Command.onModulePath(
            JAVA,
            "eval",
            "jsonl",
            "--contexts=unseen",
            "--name=unseen",
            "--out=" + folder,
            questions.toString());
    assertEquals(2, unseen.status());
    assertTrue(unseen.err().contains("'self-information' looks at the question"), unseen.err());
  }

  @Test
  void whatCannotBeMeantIsRefusedInOneSentence() {
    Outcome noPlan =
        Command.onModulePath(JAVA, "eval", "retrieval", "--tasks=passkye", "--out=" + folder);
    assertEquals(2, noPlan.status());
    assertTrue(noPlan.err().contains("did you mean 'passkey'?"), noPlan.err());
    Outcome noEvaluation = Command.onModulePath(JAVA, "eval");
    assertEquals(2, noEvaluation.status());
    assertTrue(noEvaluation.err().contains("Which evaluation?"), noEvaluation.err());
  }
}
