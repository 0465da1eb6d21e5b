/** Secrets in URLs that are written wrongly: none is shown, whether the URL is refused or taken. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readSettings } from "../../../echo/settings.ts";
import { StartupError, withoutSecrets } from "../../../telemetry/settings/mod.ts";

/** What a secret is recognized by; long enough not to come up by chance. */
const SECRET = "s3cretXq7Zw9Lk2";

const SCHEMES = [
  ...["http://", "https://", "HTTP://", "http:///", "http:////", " http://"],
  ...["http:/", "http:", "http//", "http", "//", "/", "", "htp://", "ftp://", "http:\\\\"],
];
const USERS = ["user:", "user:12/", "user:12?", "user:12#", "user/", ":", ""];
const PASSWORDS = ["", "/x", "#x", "?x", "@x", ":x", "%zz", " x", "\\x", '"x', ",x", "=x"];
const HOSTS = ["@collector:4318", "@[::1]:4318", "@collector", "", ":4318"];
const ENDS = [
  "",
  "/",
  `/${SECRET}`,
  `?key=${SECRET}`,
  `/v1/metrics?key=${SECRET}`,
  "/v1/traces",
  " ",
];

/** Every combination of what can be wrong, and of where a secret can be. */
function* urls(): Generator<string> {
  for (const scheme of SCHEMES) {
    for (const user of USERS) {
      for (const more of PASSWORDS) {
        for (const host of HOSTS) {
          yield `${scheme}${user}${SECRET}${more}${host}`;
          yield `${scheme}${user}${more}${SECRET}${host}`;
        }
      }
    }
    for (const end of ENDS) {
      yield `${scheme}collector:4318${end}`;
      yield `${scheme}user:${SECRET}@collector:4318${end}`;
    }
  }
}

/** What is said of a value that is refused; undefined if it is taken. */
function complaint(name: string, value: string): string | undefined {
  try {
    readSettings({ [name]: value });
    return undefined;
  } catch (error) {
    assert.ok(error instanceof StartupError, String(error));
    return error.message;
  }
}

/** In any case: the parser has hosts in small letters. */
function assertUnseen(text: string, value: string): void {
  assert.ok(
    !text.toLowerCase().includes(SECRET.toLowerCase()),
    `${JSON.stringify(value)}: ${text}`,
  );
}

suite("no secret of a URL is shown", () => {
  for (const signal of ["", "METRICS_", "TRACES_"]) {
    const name = `OTEL_EXPORTER_OTLP_${signal}ENDPOINT` as "OTEL_EXPORTER_OTLP_ENDPOINT";
    test(name, () => {
      let [taken, refused] = [0, 0];
      for (const url of urls()) {
        const text = complaint(name, url);
        if (text === undefined) {
          taken++;
          const parsed = new URL(url);
          const shown = withoutSecrets(readSettings({ [name]: url })[name]!);
          assert.equal(shown.replace(/\/v1\/(metrics|traces)$/, ""), parsed.origin, url);
          // What the parser takes for the host is where exports go to, and is shown.
          if (!parsed.host.includes(SECRET.toLowerCase())) assertUnseen(shown, url);
        } else {
          refused++;
          assert.equal(
            text,
            `${name}=(not shown): must be a URL that begins with http:// or https://`,
          );
        }
      }
      assert.ok(taken > 500 && refused > 500, `${taken} taken, ${refused} refused`);
    });
  }

  // Those that look like more than a host: any other is a text like "localhost" or "10".
  const some = [...urls()].filter((url, index) => index % 37 === 0 && /[@?#]/.test(url));
  for (const name of Object.keys(readSettings({}))) {
    test(`given to ${name}`, () => {
      for (const url of some) {
        const text = complaint(name, url);
        if (text === undefined) continue;
        assertUnseen(text, url);
        assert.ok(text.startsWith(`${name}=(not shown): must be `), text);
      }
    });
  }
});

test("an address with a user's name is refused", () => {
  for (const address of [`${SECRET}@collector:50051`, `collector?key=${SECRET}:50051`]) {
    assert.match(complaint("ECHO_ADDR", address)!, /^ECHO_ADDR=\(not shown\): must be host:port/);
    const host = address.replace(":50051", "");
    assert.match(complaint("OTEL_EXPORTER_PROMETHEUS_HOST", host)!, /_HOST=\(not shown\): must be/);
  }
});

test("what can be shown of a URL is where it leads", () => {
  const shown = {
    "http://user:12/secret@collector:4318": "http://user:12",
    "http:///user:secret@collector:4318": "http://collector:4318",
    "https://collector/secret/v1/metrics": "https://collector",
    "https://user:secret@collector:4318/v1/traces?key=secret": "https://collector:4318/v1/traces",
    "http://[::1]:4318/v1/metrics": "http://[::1]:4318/v1/metrics",
  };
  for (const [url, expected] of Object.entries(shown)) assert.equal(withoutSecrets(url), expected);
});

/** PEM as it is found, and as Kubernetes has it. */
const PEM = `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`;
const CONTENTS = [SECRET, `/${SECRET}`, `user:${SECRET}`, `name.${SECRET}`, PEM, btoa(PEM)];

for (const name of Object.keys(readSettings({}))) {
  if (!/_(FILE|KEY|CERT|CERTIFICATE|CA)$/.test(name)) continue;
  test(`${name} that is what the file should hold is not shown`, () => {
    for (const content of CONTENTS) {
      assert.ok(complaint(name, content)!.startsWith(`${name}=(not shown): must be a file`));
    }
    assert.ok(complaint(name, "no/such.pem")!.startsWith(`${name}="no/such.pem": must be a file`));
    const folder = import.meta.dirname!;
    assert.ok(complaint(name, folder)!.startsWith(`${name}=${JSON.stringify(folder)}: must be`));
  });
}
