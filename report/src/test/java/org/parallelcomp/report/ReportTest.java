package org.parallelcomp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.stream.Collectors;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Attribute;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.Sampling;
import org.parallelcomp.engine.Trace;

/** The page as a reader of its source finds it; {@link BrowserTest} looks at it in a browser. */
class ReportTest {
  private static final String TEXT = "The grass is green, the sky is blue, the sun is yellow. ";

  private static Document page(Report report) {
    return Jsoup.parse(report.html());
  }

  private static Document page() {
    return page(Samples.report(TEXT.repeat(40), "Where is the key?", "in the house", 70, 3));
  }

  @Test
  void thePageSaysWhatWasAskedAndAnswered() {
    Document page = page();

    assertEquals("Where is the key?", page.selectFirst("h1").text());
    assertEquals("in the house", page.selectFirst(".answer").text());
    assertEquals("Where is the key? · ParallelComp", page.title());
    assertEquals(
        List.of("133,089", "1 of 273", "780 MiB → 1.52 MiB", "after 7.88 s"),
        page.select(".headline dd").eachText().subList(0, 4));
    String run = page.selectFirst("#run").text();
    for (String fact :
        List.of(
            "sample-plan",
            "attention-threshold(zone=100)",
            "5,770,496",
            "512",
            "25.0.1",
            "parallelcomp explain --text 'a b.txt' x")) {
      assertTrue(run.contains(fact), fact + " in " + run);
    }
  }

  @Test
  void everyChunkHasItsBarAndItsRow() {
    Document page = page();

    assertEquals(8, page.select(".bars rect:not(.band)").size());
    assertEquals(1, page.select(".bars rect.kept").size());
    assertEquals("#chunk-3", page.selectFirst(".bars a").attr("href"));
    // 0.2 of at most 2 + 6/7.
    assertEquals("7", page.selectFirst(".bars rect.kept").attr("height"));
    assertEquals("Chunk 3: 0.200, kept", page.selectFirst(".bars rect.kept title").text());
    assertEquals(8, page.select("#scores tbody tr").size());
    assertEquals(
        List.of("840 to 1,120", "70", "0.200", "kept"),
        page.select("#scores tr.kept td").eachText());
  }

  @Test
  void keptTokensAreShadedInTheirPassage() {
    Document page = page();
    Element passage = page.selectFirst("#chunk-3 .passage");

    assertEquals(TEXT.repeat(40).substring(840, 1120), passage.wholeText());
    assertEquals(TEXT.substring(0, 4), passage.select("mark").first().wholeText());
    // Token 2 is given up in three of six layers, all other even ones are kept by all.
    assertEquals("k4", passage.select("mark").first().className());
    Element third = passage.select("mark").get(1);
    assertEquals(TEXT.substring(8, 12), third.wholeText());
    assertEquals("k2", third.className());
    assertEquals("kept by 6", third.attr("title"));
    assertEquals(35, passage.select("mark").size());
    assertTrue(page.selectFirst("#passages").text().contains("3 chunks not kept, 840 characters"));
    assertTrue(page.selectFirst("#passages").text().contains("4 chunks not kept, 1,120 character"));
  }

  @Test
  void sharesOfHeadsAndStagesOfLayersAreThere() {
    Document page = page();

    assertEquals(6, page.select(".heat tbody tr").size());
    assertEquals("49%", page.selectFirst(".heat td").text());
    assertEquals("50%", page.select(".heat tbody tr").get(1).selectFirst("td").text());
    assertEquals(6, page.select("#attention article").size());
    assertEquals(
        List.of("As read", "Kept by budget", "After calibration", "As the answer begins"),
        page.select("#attention article").first().select(".profile > p > span").eachText());
    assertEquals(
        List.of("As read", "Kept by budget", "As the answer begins"),
        page.select("#attention article").get(1).select(".profile > p > span").eachText());
    assertTrue(
        page.selectFirst("#attention ul").text().contains("took keys in layers 1, 3, 5."),
        page.selectFirst("#attention ul").text());
    for (Element stack : page.select(".stack")) {
      double width =
          stack.select("i").stream()
              .mapToDouble(i -> Double.parseDouble(i.attr("style").replaceAll("[^0-9.]", "")))
              .sum();
      assertEquals(100, width, 0.1);
    }
  }

  /** Whatever a text, a question or a model says, it is text on the page. */
  @Test
  void nothingThatIsInsertedBecomesMarkup() {
    String evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{question}}</p>";
    Document page = page(Samples.report(evil.repeat(20), evil, evil, 100, 1));

    assertEquals(0, page.select("script, img, iframe, object, embed, link, form").size());
    assertEquals(evil, page.selectFirst("h1").wholeText());
    assertEquals(evil, page.selectFirst(".answer").wholeText());
    assertTrue(evil.repeat(20).contains(page.selectFirst("#chunk-1 .passage").wholeText()));
    assertEquals("Mind the <gap>.", page.selectFirst(".warning").text());
    for (Element element : page.getAllElements()) {
      for (Attribute attribute : element.attributes()) {
        assertFalse(attribute.getKey().startsWith("on"), attribute::toString);
      }
    }
  }

  @Test
  void howTokensWereDrawnIsSaidInWords() {
    assertEquals("the most likely token", RunTables.sampling(Sampling.GREEDY));
    assertEquals(
        "temperature 0.7, top-k 40, min-p 0.05, seed 3, repetition penalty 1.1",
        RunTables.sampling(new Sampling(1.1, 0.7, 40, 1, 0.05, 3)));
  }

  /** Nothing is loaded, and a browser would refuse to. */
  @Test
  void thePageHoldsEverythingItself() {
    Document page = page();

    assertEquals(
        "default-src 'none'; style-src 'unsafe-inline'",
        page.selectFirst("meta[http-equiv=Content-Security-Policy]").attr("content"));
    assertEquals(0, page.select("[src], [srcset], [data], link").size());
    for (Element link : page.select("[href]")) {
      assertTrue(link.attr("href").startsWith("#"), link::outerHtml);
    }
    String style = page.selectFirst("style").data();
    assertFalse(style.contains("url(") || style.contains("@import"), style);
    assertTrue(style.contains("prefers-color-scheme: dark"));
  }

  @Test
  void whoSeesNoPictureOrHasNoMouseFindsEverything() {
    Document page = page();
    var ids = new HashSet<String>();
    page.select("[id]").forEach(e -> assertTrue(ids.add(e.id()), e.id()));
    page.select("a[href]")
        .forEach(
            link -> assertTrue(ids.contains(link.attr("href").substring(1)), link.outerHtml()));
    assertEquals("en", page.selectFirst("html").attr("lang"));
    for (Element picture : page.select("svg, [role=img], [role=region], nav")) {
      assertFalse(picture.attr("aria-label").isBlank(), picture::outerHtml);
    }
    page.select("svg a").forEach(link -> assertFalse(link.attr("aria-label").isBlank()));
    page.select("thead th").forEach(th -> assertEquals("col", th.attr("scope")));
    assertEquals(1, page.select("h1").size());
    int level = 1;
    for (Element heading : page.select("h1, h2, h3")) {
      int next = heading.tagName().charAt(1) - '0';
      assertTrue(next <= level + 1, heading::outerHtml);
      level = next;
    }
    assertEquals(
        page.select(".wide").size(), page.select(".wide[tabindex=0]").size(), "can be scrolled");
  }

  /** 128K tokens in 273 chunks: what was not kept costs a bar and a row. */
  @Test
  void aLongTextMakesALightPage() {
    String text = TEXT.repeat(10_000).substring(0, 4 * 131_040);

    assertTrue(
        Samples.report(text, "q", "a", 480, 54).html().length() < 150_000,
        () -> Samples.report(text, "q", "a", 480, 54).html().length() + " characters");
  }

  /** One chunk that is the whole text, every other token of it kept. */
  @Test
  void aLongPassageIsCutOff() {
    String text = TEXT.repeat(10_000).substring(0, 4 * 131_040);
    Document page = page(Samples.report(text, "q", "a", 131_040, 0));

    assertTrue(page.selectFirst(".passage").wholeText().length() <= 40_000);
    assertTrue(page.selectFirst("#chunk-0").text().contains("The rest is left out"));
    assertTrue(page.outerHtml().length() < 2_000_000);
  }

  @Test
  void thereIsAPageWhereNoChunkWasKept() {
    Report some = Samples.report(TEXT.repeat(40), "q", "", 70, 3);
    Trace trace = some.result().trace();
    Document page =
        page(
            Samples.report(
                TEXT.repeat(40),
                "q",
                "",
                new Trace(
                    trace.chunks().stream()
                        .map(
                            c ->
                                new Trace.ChunkTrace(
                                    c.chunk(),
                                    c.fromToken(),
                                    c.toToken(),
                                    c.score(),
                                    c.selfInformation(),
                                    false))
                        .collect(Collectors.toList()),
                    trace.fromChar(),
                    trace.toChar(),
                    List.of(),
                    null)));

    assertTrue(page.text().contains("No chunk was kept, so nothing was answered."));
    assertEquals(8, page.select(".bars rect").size());
    assertEquals(0, page.select("#heads, #attention, article").size());
  }

  @Test
  void aResultWithoutATraceIsRefused() {
    assertThrows(
        InferenceException.class, () -> Samples.report(TEXT, "q", "a", (Trace) null).html());
  }
}
