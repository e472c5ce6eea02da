// No span has come yet: how to send the first one, and a sign when it is here.
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import { useLoad } from '../hooks';
import { say } from '../state';
import { CopyButton } from './common';

const host = location.hostname || '127.0.0.1';
const http = `http://${host.includes(':') ? `[${host}]` : host}:4318`;
const snippets: [string, string, string][] = [
  ['Any SDK', 'environment variables that every OpenTelemetry SDK reads', `export OTEL_EXPORTER_OTLP_ENDPOINT=${http}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nexport OTEL_SERVICE_NAME=my-service`],
  ['Python', 'no change to the code', `pip install opentelemetry-distro opentelemetry-exporter-otlp\nopentelemetry-bootstrap -a install\nOTEL_SERVICE_NAME=my-service OTEL_EXPORTER_OTLP_ENDPOINT=${http} \\\n  OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf \\\n  opentelemetry-instrument python app.py`],
  ['Node.js', 'no change to the code', `npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node\nOTEL_SERVICE_NAME=my-service OTEL_EXPORTER_OTLP_ENDPOINT=${http} \\\n  node --require @opentelemetry/auto-instrumentations-node/register app.js`],
  ['Java', 'no change to the code', `java -javaagent:opentelemetry-javaagent.jar \\\n  -Dotel.service.name=my-service \\\n  -Dotel.exporter.otlp.endpoint=${http} -jar app.jar`],
  ['Collector', 'in its configuration', `exporters:\n  otlphttp/clew:\n    endpoint: ${http}\nservice:\n  pipelines:\n    traces:\n      exporters: [otlphttp/clew]`],
  ['curl', 'one span by hand', `now=$(date +%s%N)\ncurl ${http}/v1/traces -H 'Content-Type: application/json' -d '{"resourceSpans":[{\n  "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello"}}]},\n  "scopeSpans":[{"spans":[{"traceId":"'$(openssl rand -hex 16)'","spanId":"'$(openssl rand -hex 8)'",\n    "name":"first span","kind":2,"startTimeUnixNano":"'$now'","endTimeUnixNano":"'$((now + 42000000))'"}]}]}]}'`],
  ['Samples', 'traces of other projects, from a checkout of Clew', 'clew import --shift examples/traces/*.jsonl'],
];

export function FirstRun({ onReceived }: { onReceived: () => void }) {
  const [chosen, setChosen] = useState(0);
  const stats = useLoad('stats', (signal) => api.stats(signal), 1500);
  const accepted = Number(stats.data?.ingest.acceptedSpans ?? 0);
  const rejected = Object.entries(stats.data?.ingest.rejectedSpans ?? {}).filter(([, n]) => Number(n) > 0);
  const received = accepted > 0;
  useEffect(() => {
    if (!received) return;
    say(`✓ ${accepted} ${accepted === 1 ? 'span' : 'spans'} received`);
    onReceived();
  }, [accepted]);
  const [title, why, text] = snippets[chosen];
  return (
    <div class="first-run">
      <h1>No traces yet</h1>
      <p>
        This node takes OTLP over gRPC (port 4317) and HTTP (port 4318), unless it was told otherwise. Send it a span, and this page goes on by itself.
      </p>
      <div class="tabs" role="tablist" aria-label="Ways to send">
        {snippets.map(([name], index) => (
          <button key={name} type="button" role="tab" aria-selected={index === chosen} onClick={() => setChosen(index)}>
            {name}
          </button>
        ))}
      </div>
      <div class="snippet" role="tabpanel" aria-label={title}>
        <p class="quiet">{why}</p>
        <pre>
          <code>{text}</code>
        </pre>
        <CopyButton text={text} what="the snippet">
          Copy
        </CopyButton>
      </div>
      <p class={`waiting${received ? ' done' : ''}`} role="status">
        {stats.error ? 'The node does not answer.' : received ? `✓ ${accepted} ${accepted === 1 ? 'span' : 'spans'} received` : <><span class="pulse" aria-hidden="true">●</span> Waiting for the first span</>}
        {rejected.length > 0 && <span class="bad"> Rejected: {rejected.map(([reason, n]) => `${n} ${reason.replaceAll('_', ' ')}`).join(', ')}</span>}
      </p>
    </div>
  );
}
