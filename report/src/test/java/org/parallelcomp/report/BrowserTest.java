package org.parallelcomp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The page in a headless browser, wherever a Chromium or Chrome is installed; without one these
 * tests are skipped, and {@link ReportTest} stands alone.
 */
class BrowserTest {
  @TempDir private static Path folder;
  private static Chromium browser;

  @BeforeAll
  static void open() throws Exception {
    assumeTrue(Chromium.executable().isPresent(), "no Chromium or Chrome is installed");
    String text = "The grass is green, the sky is blue, the sun is yellow. ".repeat(2000);
    Path file = folder.resolve("page.html");
    Files.writeString(
        file,
        Samples.report(text, "Where does Mira keep the silver key?", "in the house", 300, 20)
            .html());
    browser = Chromium.start(folder.resolve("profile"));
    browser.open(file);
  }

  @AfterAll
  static void close() throws Exception {
    if (browser != null) {
      browser.close();
    }
  }

  private static void show(int width, boolean dark) throws Exception {
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        Map.of("width", width, "height", 800, "deviceScaleFactor", 1, "mobile", width < 500));
    browser.call(
        "Emulation.setEmulatedMedia",
        Map.of(
            "features",
            List.of(Map.of("name", "prefers-color-scheme", "value", dark ? "dark" : "light"))));
  }

  @ParameterizedTest
  @ValueSource(ints = {320, 390, 1280})
  void nothingSticksOutAtAnyWidth(int width) throws Exception {
    show(width, false);

    assertEquals(width, browser.evaluate("document.documentElement.scrollWidth").asInt());
    JsonNode hidden =
        browser.evaluate(
            "[...document.querySelectorAll('h1, h2, h3, p, svg, .stack, dd')].filter(e =>"
                + " e.getBoundingClientRect().width < 1).map(e => e.outerHTML).join()");
    assertEquals("", hidden.asText());
    assertTrue(
        browser.evaluate("document.querySelector('.bars').getBoundingClientRect().width").asInt()
            > width * 0.8);
  }

  /** Relative luminance, WCAG 2: 4.5 to 1 for every text, shaded or not. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void textCanBeReadInLightAndDark(boolean dark) throws Exception {
    show(1280, dark);

    JsonNode worst =
        browser.evaluate(
            """
            (() => {
              const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
              const flat = layers => {
                canvas.clearRect(0, 0, 1, 1);
                layers.forEach(c => { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); });
                return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
              };
              const luminance = rgb => {
                const [r, g, b] = rgb.map(c => c / 255).map(
                    c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              let worst = [99, ''];
              for (const e of document.querySelectorAll('h1,h2,h3,p,li,a,mark,dt,dd,th,td,span,b')) {
                if (!e.textContent.trim() || e.closest('svg')) continue;
                const layers = [];
                for (let up = e; up; up = up.parentElement) {
                  layers.unshift(getComputedStyle(up).backgroundColor);
                }
                const back = luminance(flat(layers));
                const fore = luminance(flat([...layers, getComputedStyle(e).color]));
                const ratio = (Math.max(back, fore) + 0.05) / (Math.min(back, fore) + 0.05);
                if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 200)];
              }
              return worst;
            })()
            """);
    assertTrue(worst.get(0).asDouble() >= 4.5, worst::toString);
  }

  @Test
  void darkModeIsDark() throws Exception {
    show(1280, false);
    int light = brightness(browser.screenshot());
    show(1280, true);
    int dark = brightness(browser.screenshot());

    assertTrue(light > 200 && dark < 60, light + " and " + dark);
  }

  /** The mean of all pixels' greens, from 0 to 255. */
  private static int brightness(byte[] png) throws IOException {
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(png));
    return (int)
        IntStream.range(0, image.getWidth() * image.getHeight())
            .map(i -> image.getRGB(i % image.getWidth(), i / image.getWidth()) >> 8 & 0xFF)
            .average()
            .orElseThrow();
  }

  @Test
  void theKeyboardReachesThePassage() throws Exception {
    show(1280, false);
    JsonNode focusable =
        browser.evaluate(
            "[...document.querySelectorAll('a[href], summary, [tabindex]')].every(e => { e.focus();"
                + " return document.activeElement === e || !e.checkVisibility(); })");
    assertTrue(focusable.asBoolean());
    JsonNode jumped =
        browser.evaluate(
            "document.querySelector('.bars a').dispatchEvent(new MouseEvent('click', {bubbles:"
                + " true})); location.hash");
    assertEquals("#chunk-20", jumped.asText());
    assertTrue(
        browser.evaluate("document.querySelector(':target .passage mark') !== null").asBoolean());
  }

  @Test
  void theBrowserHasNothingToComplainOf() {
    assertEquals(List.of(), browser.complaints());
  }
}
