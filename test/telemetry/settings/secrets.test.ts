/** Secrets in malformed URLs are never shown, whether the URL is refused or accepted. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readSettings } from "../../../echo/settings.ts";
import { StartupError, withoutSecrets } from "../../../telemetry/settings/mod.ts";

/** Long enough not to appear by chance. */
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

/** Generates combinations of mistakes in a URL and places of a secret. */
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

/** Returns the error message for a value; undefined if it is accepted. */
function complaint(name: string, value: string): string | undefined {
  try {
    readSettings({ [name]: value });
    return undefined;
  } catch (error) {
    assert.ok(error instanceof StartupError, String(error));
    return error.message;
  }
}

/** Fails if the text contains the secret in upper or lower case: the URL parser lowercases hosts. */
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
      let [accepted, refused] = [0, 0];
      for (const url of urls()) {
        const text = complaint(name, url);
        if (text === undefined) {
          accepted++;
          const parsed = new URL(url);
          const shown = withoutSecrets(readSettings({ [name]: url })[name]!);
          assert.equal(shown.replace(/\/v1\/(metrics|traces)$/, ""), parsed.origin, url);
          // Exports go to the host that the parser finds, so that is shown.
          if (!parsed.host.includes(SECRET.toLowerCase())) assertUnseen(shown, url);
        } else {
          refused++;
          assert.equal(
            text,
            `${name}=(not shown): must be a URL that begins with http:// or https://; with grpc ` +
              "also host:port, unix:path or unix:///path",
          );
        }
      }
      assert.ok(accepted > 500 && refused > 500, `${accepted} accepted, ${refused} refused`);
    });
  }

  // URLs that look like more than a host: the others may be valid values, like "localhost" or "10".
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

test("only scheme, host, port and OTLP path of a URL are shown", () => {
  const shown = {
    "http://user:12/secret@collector:4318": "http://user:12",
    "http:///user:secret@collector:4318": "http://collector:4318",
    "https://collector/secret/v1/metrics": "https://collector",
    "https://user:secret@collector:4318/v1/traces?key=secret": "https://collector:4318/v1/traces",
    "http://[::1]:4318/v1/metrics": "http://[::1]:4318/v1/metrics",
  };
  for (const [url, expected] of Object.entries(shown)) assert.equal(withoutSecrets(url), expected);
});

/** A secret as PEM, and in Base64 as in Kubernetes. */
const PEM = `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`;
const CONTENTS = [SECRET, `/${SECRET}`, `user:${SECRET}`, `name.${SECRET}`, PEM, btoa(PEM)];

for (const name of Object.keys(readSettings({}))) {
  if (!/_(FILE|KEY|CERT|CERTIFICATE|CA)$/.test(name)) continue;
  test(`${name} is not shown if it is the content of a file`, () => {
    for (const content of CONTENTS) {
      assert.ok(complaint(name, content)!.startsWith(`${name}=(not shown): must be a file`));
    }
    assert.ok(complaint(name, "no/such.pem")!.startsWith(`${name}="no/such.pem": must be a file`));
    const folder = import.meta.dirname!;
    assert.ok(complaint(name, folder)!.startsWith(`${name}=${JSON.stringify(folder)}: must be`));
  });
}
