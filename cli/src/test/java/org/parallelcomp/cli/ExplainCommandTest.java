package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.engine.FinishReason;

class ExplainCommandTest {
  private final FakeEngine engine = new FakeEngine();

  @TempDir private Path folder;

  @Test
  void writesThePageBesideTheAnswer() throws IOException {
    Path page = folder.resolve("why.html");

    Run run = Run.of(engine, "explain", "-t", "b.txt", "-o", page.toString(), "Where's the key?");

    assertEquals(0, run.status(), run::err);
    assertTrue(run.out().startsWith("in the lighthouse\n"), run::out);
    assertTrue(engine.requests.getFirst().traced());
    String html = Files.readString(page);
    assertTrue(html.contains("<h1>Where&#39;s the key?</h1>"), html);
    assertTrue(
        html.contains("parallelcomp explain -t b.txt -o " + page + " &#39;Where&#39;\\&#39;"),
        html);
    assertTrue(html.contains("<mark class=\"k2\" title=\"kept by 1\">Mira keeps"), html);
  }

  @Test
  void askWritesItWhereItIsAskedTo() {
    Path page = folder.resolve("a.html");

    assertEquals(0, Run.of(engine, "ask", "-t", "b", "--report", page.toString(), "q").status());
    assertTrue(Files.exists(page));
    assertEquals(0, Run.of(engine, "ask", "-t", "b", "q").status());
    assertFalse(engine.requests.getLast().traced(), "nothing is observed for nobody");
  }

  @Test
  void jsonHoldsTheTraceToo() throws IOException {
    Path page = folder.resolve("a.html");
    Run run = Run.of(engine, "explain", "--json", "-t", "b", "-o", page.toString(), "q");

    JsonNode trace = new ObjectMapper().readTree(run.out()).get("trace");
    assertEquals(2, trace.get("chunks").size());
    assertEquals(27, trace.get("chunks").get(1).get("fromChar").asInt());
    assertEquals(0.25, trace.get("chunks").get(1).get("selfInformation").asDouble());
    assertTrue(trace.get("chunks").get(1).get("kept").asBoolean());
    JsonNode layer = trace.get("layers").get(0);
    assertEquals("[1,0]", layer.get("keptTokens").toString());
    assertEquals("read", layer.get("attention").get(0).get("stage").asText());
    assertEquals(0.25, layer.get("attention").get(0).get("prefix").asDouble());
    assertTrue(Files.exists(page));
  }

  @Test
  void refusesAPlaceThatCannotBeBeforeItLoadsAnything() {
    for (String place : new String[] {folder.toString(), folder.resolve("no/a.html").toString()}) {
      Run run = Run.of(engine, "ask", "-t", "b", "--report", place, "q");

      assertEquals(2, run.status());
      assertTrue(run.err().startsWith("parallelcomp: The report " + place), run::err);
    }
    assertTrue(engine.opened.isEmpty());
  }

  @Test
  void anInterruptedRequestLeavesNoPage() {
    engine.finishReason = FinishReason.CANCELLED;
    Path page = folder.resolve("a.html");

    assertEquals(130, Run.of(engine, "explain", "-t", "b", "-o", page.toString(), "q").status());
    assertFalse(Files.exists(page));
  }
}
