const response = await fetch(
  'https://api-sandbox.featherhq.com/v1/v2/conversations/conv_01hxabc987654321fedcba00/turns/stream',
  {
    method: 'POST',
    headers: {
      'x-api-key': `${process.env.FEATHER_API_KEY}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({ user_message: 'What is the status of my order?' }),
  }
);

const reader = response.body.getReader();
const decoder = new TextDecoder();
let buffer = '';

while (true) {
  const { done, value } = await reader.read();
  if (done) break;

  buffer += decoder.decode(value, { stream: true });

  // SSE frames are separated by a blank line; each frame has an
  // `event:` line and a `data:` line.
  let sep;
  while ((sep = buffer.indexOf('\n\n')) !== -1) {
    const frame = buffer.slice(0, sep);
    buffer = buffer.slice(sep + 2);

    let eventName = 'message';
    let data = '';
    for (const line of frame.split('\n')) {
      if (line.startsWith('event:')) eventName = line.slice(6).trim();
      else if (line.startsWith('data:')) data += line.slice(5).trim();
    }
    if (!data) continue;
    const payload = JSON.parse(data);

    if (eventName === 'delta') {
      process.stdout.write(payload.text); // stream tokens to UI
    } else if (eventName === 'complete') {
      console.log('\n\nFull turn:', payload); // final turn object (inline fields)
    } else if (eventName === 'error') {
      console.error('Stream error:', payload.error);
    }
  }
}
