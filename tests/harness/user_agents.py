"""User agents as browsers, apps and libraries send them, with what is said of the device."""

from dataclasses import astuple

import pytest

from session_service.rules.devices import Device
from session_service.rules.identifiers import MAX_TEXT_LENGTH

# name | type | browser | os | names a browser or an app; below it the user agent, as it was sent.
AGENTS = """
# Windows. 11 sends the same as 10, so "Windows 10" is as much as can be said.
Chrome on Windows 10 | web | Chrome | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36
Chrome on Windows 7 | web | Chrome | Windows 7 | yes
Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36
Firefox on Windows 8.1 | web | Firefox | Windows 8.1 | yes
Mozilla/5.0 (Windows NT 6.3; Win64; x64; rv:115.0) Gecko/20100101 Firefox/115.0
Firefox on Windows XP | web | Firefox | Windows XP | yes
Mozilla/5.0 (Windows NT 5.1; rv:52.0) Gecko/20100101 Firefox/52.0
Firefox on Windows 10 | web | Firefox | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0
Edge on Windows 10 | web | Edge | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0
Edge on Windows 10 | web | Edge | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763
Opera on Windows 10 | web | Opera | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 OPR/116.0.0.0
Opera on Windows 7 | web | Opera | Windows 7 | yes
Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18
Yandex Browser on Windows 10 | web | Yandex Browser | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 YaBrowser/24.12.0.0 Safari/537.36
Internet Explorer on Windows 7 | web | Internet Explorer | Windows 7 | yes
Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko
Vivaldi on Windows 10 | web | Vivaldi | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/91.0.4472.114 Safari/537.36 Vivaldi/4.0
# Brave, then today's Vivaldi: nothing in either is not Chrome's.
Chrome on Linux | web | Chrome | Linux | yes
Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36
Chrome on Windows 10 | web | Chrome | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36
# A browser without a window is still that browser.
Chrome on Windows 10 | web | Chrome | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36
App on Windows 10 | web | App | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) MyShop/1.2.0 Chrome/128.0.6613.162 Electron/32.1.2 Safari/537.36

# macOS, whose version has been frozen; the second one is an iPad in desktop mode as well.
Chrome on macOS | web | Chrome | macOS | yes
Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36
Safari on macOS | web | Safari | macOS | yes
Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15
Firefox on macOS | web | Firefox | macOS | yes
Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0
DuckDuckGo on macOS | web | DuckDuckGo | macOS | yes
Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15 Ddg/17.4
# Other browsers' desktop mode gives itself away: no Mac has CriOS.
Chrome on iOS | mobile | Chrome | iOS | yes
Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131 Version/11.1.1 Safari/605.1.15
Firefox on iOS | mobile | Firefox | iOS | yes
Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/133.0 Safari/605.1.15
App on iOS | mobile | App | iOS | yes
Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148

# Linux by no other name, but for ChromeOS.
Chrome on Linux | web | Chrome | Linux | yes
Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36
Firefox on Linux | web | Firefox | Linux | yes
Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0
Firefox on Linux | web | Firefox | Linux | yes
Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0
Firefox on Linux | web | Firefox | Linux | yes
Mozilla/5.0 (X11; Fedora; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0
Chromium on Linux | web | Chromium | Linux | yes
Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Ubuntu Chromium/80.0.3987.163 Chrome/80.0.3987.163 Safari/537.36
Chrome on ChromeOS | web | Chrome | ChromeOS | yes
Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36
Firefox on FreeBSD | web | Firefox | FreeBSD | yes
Mozilla/5.0 (X11; FreeBSD amd64; rv:133.0) Gecko/20100101 Firefox/133.0

# iPhone, iPad, iPod
Safari on iPhone | mobile | Safari | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Mobile/15E148 Safari/604.1
Safari on iPad | tablet | Safari | iOS | yes
Mozilla/5.0 (iPad; CPU OS 12_5_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1
Safari on iPod | mobile | Safari | iOS | yes
Mozilla/5.0 (iPod touch; CPU iPhone OS 15_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6.3 Mobile/15E148 Safari/604.1
Chrome on iPhone | mobile | Chrome | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1
Chrome on iPad | tablet | Chrome | iOS | yes
Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1
Firefox on iPhone | mobile | Firefox | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/133.0 Mobile/15E148 Safari/605.1.15
Edge on iPhone | mobile | Edge | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 EdgiOS/131.0.2903.68 Mobile/15E148 Safari/605.1.15
Opera on iPhone | mobile | Opera | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1 OPT/5.2.0
DuckDuckGo on iPhone | mobile | DuckDuckGo | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/605.1.15 Ddg/17.1
Yandex Browser on iPhone | mobile | Yandex Browser | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 YaBrowser/24.6.7.415.10 SA/3 Mobile/15E148 Safari/604.1
Google app on iPhone | mobile | Google app | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/343.0.696357578 Mobile/15E148 Safari/604.1
Facebook on iPhone | mobile | Facebook | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B91 [FBAN/FBIOS;FBAV/491.0.0.56.102;FBBV/665337277;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/18.1.1;FBSS/3;FBID/phone;FBLC/en_US;FBOP/5;FBRV/0]
Instagram on iPhone | mobile | Instagram | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B91 Instagram 358.0.3.25.88 (iPhone15,3; iOS 18_1_1; en_US; en; scale=3.00; 1290x2796; 665337277; IABMV/1)
TikTok on iPhone | mobile | TikTok | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 musical_ly_37.1.0 JsSdk/2.0 NetType/WIFI Channel/App Store ByteLocale/en Region/US BytedanceWebview/d8a21c6 FalconTag/
LinkedIn on iPhone | mobile | LinkedIn | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [LinkedInApp]/9.29.6264
Threads on iPhone | mobile | Threads | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21A329 Barcelona 310.0.0.30.112 (iPhone14,5; iOS 17_0; en_US; en; scale=3.00; 1170x2532; 540180713)
WeChat on iPhone | mobile | WeChat | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.44(0x18002c2d) NetType/WIFI Language/en
App on iPhone | mobile | App | iOS | yes
Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148

# Android: a model is shown where it is told; today's Chrome says "10; K" on every phone, and a tablet is what does not say Mobile.
Chrome on Android | mobile | Chrome | Android | yes
Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36
Chrome on Android | tablet | Chrome | Android | yes
Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36
Chrome on Samsung SM-G991B | mobile | Chrome | Android | yes
Mozilla/5.0 (Linux; Android 13; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.5615.136 Mobile Safari/537.36
Chrome on Samsung SM-X906C | tablet | Chrome | Android | yes
Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 Safari/537.36
Chrome on CUBOT NOTE 20 | mobile | Chrome | Android | yes
Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.5615.136 Mobile Safari/537.36
Chrome on Redmi Note 9 | mobile | Chrome | Android | yes
Mozilla/5.0 (Linux; Android 12; Redmi Note 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.5615.136 Mobile Safari/537.36
Chrome on Android CPH2381 | mobile | Chrome | Android | yes
Mozilla/5.0 (Linux; Android 13; CPH2381) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.5615.136 Mobile Safari/537.36
Silk on Amazon KFMUWI | tablet | Silk | Android | yes
Mozilla/5.0 (Linux; Android 7.1.2; KFMUWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/130.4.1 like Chrome/130.0.6723.102 Mobile Safari/537.36
Samsung Internet on Android | mobile | Samsung Internet | Android | yes
Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36
Edge on Android | mobile | Edge | Android | yes
Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 EdgA/131.0.0.0
Opera on Android | mobile | Opera | Android | yes
Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36 OPR/86.0.0.0
Opera Mini on Android | mobile | Opera Mini | Android | yes
Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16
Opera Mini | mobile | Opera Mini | - | yes
Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10
Firefox on Android | mobile | Firefox | Android | yes
Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0
Firefox on Android | tablet | Firefox | Android | yes
Mozilla/5.0 (Android 14; Tablet; rv:133.0) Gecko/133.0 Firefox/133.0
Yandex Browser on Samsung SM-A546E | mobile | Yandex Browser | Android | yes
Mozilla/5.0 (Linux; arm_64; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.6723.91 YaBrowser/24.12.1.91.00 SA/3 Mobile Safari/537.36
UC Browser on realme RMX3630 | mobile | UC Browser | Android | yes
Mozilla/5.0 (Linux; U; Android 13; en-US; RMX3630 Build/TP1A.220905.001) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.6.8.1317 Mobile Safari/537.36
DuckDuckGo on Android | mobile | DuckDuckGo | Android | yes
Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.0.0 Mobile DuckDuckGo/5 Safari/537.36
Mi Browser on Android 2201116PG | mobile | Mi Browser | Android | yes
Mozilla/5.0 (Linux; U; Android 12; en-us; 2201116PG Build/SKQ1) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.5.0-gn
Huawei Browser on Android JNY-LX1 | mobile | Huawei Browser | Android | yes
Mozilla/5.0 (Linux; Android 10; JNY-LX1; HMSCore 6.13.0.302) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.5735.196 HuaweiBrowser/15.0.2.311 Mobile Safari/537.36
Android Browser on Samsung GT-P5100 | tablet | Android Browser | Android | yes
Mozilla/5.0 (Linux; U; Android 4.0.3; en-us; GT-P5100 Build/IML74K) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Safari/534.30
Facebook on Samsung SM-S918B | mobile | Facebook | Android | yes
Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.81 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/490.0.0.53.84;]
Messenger on Samsung SM-G991B | mobile | Messenger | Android | yes
Mozilla/5.0 (Linux; Android 13; SM-G991B Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0.6099.144 Mobile Safari/537.36 [FB_IAB/Orca-Android;FBAV/430.0.0.26.108;]
Instagram on Pixel 8 Pro | mobile | Instagram | Android | yes
Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro Build/AP2A.240905.003; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.81 Mobile Safari/537.36 Instagram 358.0.0.51.100 Android (34/14; 480dpi; 1344x2852; Google/google; Pixel 8 Pro; husky; husky; en_US; 665337277)
TikTok on Samsung SM-A536B | mobile | TikTok | Android | yes
Mozilla/5.0 (Linux; Android 13; SM-A536B Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.81 Mobile Safari/537.36 trill_370104 BytedanceWebview/d8a21c6
Telegram on Android M2101K6G | mobile | Telegram | Android | yes
Mozilla/5.0 (Linux; Android 12; M2101K6G Build/SKQ1.210908.001; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.107 Mobile Safari/537.36 Telegram-Android/11.4.2 (Xiaomi M2101K6G; Android 12; SDK 31; AVERAGE)
App on Pixel 8 | mobile | App | Android | yes
Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A.240905.003; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.81 Mobile Safari/537.36

# Other phones, televisions and consoles
Edge on Windows Phone | mobile | Edge | Windows Phone | yes
Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.14977
Internet Explorer on Windows Phone | mobile | Internet Explorer | Windows Phone | yes
Mozilla/5.0 (Mobile; Windows Phone 8.1; Android 4.0; ARM; Trident/7.0; Touch; rv:11.0; IEMobile/11.0; NOKIA; Lumia 520) like iPhone OS 7_0_3 Mac OS X AppleWebKit/537 (KHTML, like Gecko) Mobile Safari/537
Chrome on TV | web | Chrome | webOS | yes
Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager
Silk on TV | web | Silk | Android | yes
Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7633) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.1.1 like Chrome/120.0.6099.144 Safari/537.36
Safari on TV | web | Safari | Tizen | yes
Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) 94.0.4606.31/7.0 TV Safari/537.36
Nintendo | web | Unknown | - | no
Mozilla/5.0 (Nintendo Switch; WifiWebAuthApplet) AppleWebKit/609.4 (KHTML, like Gecko) NF/6.0.2.21.3 NintendoBrowser/5.1.0.22474
Safari on PlayStation | web | Safari | - | yes
Mozilla/5.0 (PlayStation; PlayStation 5/7.20) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.4 Safari/605.1.15
Edge on Xbox | web | Edge | Windows 10 | yes
Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0

# Apps with an agent of their own; whether CFNetwork's is an iPhone or an iPad is not told.
MockStream on iOS | mobile | MockStream | iOS | yes
MockStream/1 CFNetwork/1494.0.7 Darwin/23.4.0
MockStream Beta on iOS | mobile | MockStream Beta | iOS | yes
MockStream%20Beta/41 CFNetwork/1494.0.7 Darwin/23.4.0
MockStream on macOS | web | MockStream | macOS | yes
MockStream/1 CFNetwork/1494.0.7 Darwin/23.4.0 (x86_64)
Expo on iOS | mobile | Expo | iOS | yes
Expo/1017756 CFNetwork/1568.200.51 Darwin/24.1.0
Xbox on iOS | mobile | Xbox | iOS | yes
Xbox/2408 CFNetwork/1494.0.7 Darwin/23.4.0
MockStream on Android | mobile | MockStream | Android | yes
MockStream/2.3.1 (com.mockstream; build:41; Android 14) okhttp/4.12.0
MockStream on iPad | tablet | MockStream | iOS | yes
MockStream/2.3.1 (iPad; iOS 17.4; Scale/2.00)
iOS Example on iOS | mobile | iOS Example | iOS | yes
iOS Example/1.0 (org.alamofire.iOS-Example; build:1; iOS 13.0.0) Alamofire/5.0.0
MockStream on macOS | web | MockStream | macOS | yes
MockStream/2.3.1 (com.mockstream; build:41; macOS 14.4.0) Alamofire/5.9.1
# A product that speaks of no phone may be anybody's script.
MockStream | unknown | MockStream | - | no
MockStream/2.3.1
# What the system itself sends for an app whose name it keeps.
Pixel 8 | mobile | Unknown | Android | no
Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP2A.240905.003)
iOS | mobile | Unknown | iOS | no
com.apple.WebKit.Networking/8618.1.15 CFNetwork/1494.0.7 Darwin/23.4.0

# HTTP libraries tell nothing of the device.
okhttp | unknown | okhttp | - | no
okhttp/4.12.0
Dart | unknown | Dart | - | no
Dart/3.5 (dart:io)
axios | unknown | axios | - | no
axios/1.7.7
node-fetch | unknown | node-fetch | - | no
node-fetch/1.0 (+https://github.com/bitinn/node-fetch)
undici | unknown | undici | - | no
undici
curl | unknown | curl | - | no
curl/8.5.0
Wget | unknown | Wget | - | no
Wget/1.21.4 (linux-gnu)
python-requests | unknown | python-requests | - | no
python-requests/2.32.3
python-httpx | unknown | python-httpx | - | no
python-httpx/0.27.2
aiohttp | unknown | aiohttp | - | no
Python/3.11 aiohttp/3.10.5
Python-urllib | unknown | Python-urllib | - | no
Python-urllib/3.11
Go-http-client | unknown | Go-http-client | - | no
Go-http-client/2.0
Java | unknown | Java | - | no
Java/17.0.2
Apache-HttpClient | unknown | Apache-HttpClient | - | no
Apache-HttpClient/4.5.14 (Java/17.0.2)
Postman | unknown | Postman | - | no
PostmanRuntime/7.42.0
insomnia | unknown | insomnia | - | no
insomnia/10.1.1
HTTPie | unknown | HTTPie | - | no
HTTPie/3.2.3
libwww-perl | unknown | libwww-perl | - | no
libwww-perl/6.68
WindowsPowerShell | unknown | WindowsPowerShell | - | no
Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.4522

# Bots, the second one dressed as a phone
Googlebot | bot | Googlebot | - | no
Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)
Googlebot | bot | Googlebot | - | no
Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.69 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)
bingbot | bot | bingbot | - | no
Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36
FacebookBot | bot | FacebookBot | - | no
facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)
Bot | bot | Bot | - | no
bot

# Rubbish
Unknown device | unknown | Unknown | - | no
asdf
Unknown device | unknown | Unknown | - | no
'; DROP TABLE sessions; --
Unknown device | unknown | Unknown | - | no
😀
Unknown device | unknown | Unknown | - | no
Mozilla/5.0
Linux | web | Unknown | Linux | no
Mozilla/5.0 (X11; Linux x86_64)
"""  # noqa: E501

LINES = [line for line in AGENTS.splitlines() if line and not line.startswith("# ")]

ROWS = [
    pytest.param(agent, expected.split(" | "), id=expected)
    for expected, agent in zip(LINES[::2], LINES[1::2], strict=True)
]

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)

EDGE = f"{CHROME} Edg/131.0.0.0"

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1.1 Mobile/15E148 Safari/604.1"
)

MAC_SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Safari/605.1.15"
)

GALAXY = (
    "Mozilla/5.0 (Linux; Android 13; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/112.0.5615.136 Mobile Safari/537.36"
)

WEBVIEW = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A.240905.003; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/131.0.6778.81 Mobile Safari/537.36"
)

LINUX = "Mozilla/5.0 (X11; Linux x86_64)"

HUAWEI = (
    "Mozilla/5.0 (Linux; Android 12; HarmonyOS; ANA-AN00; HMSCore 6.11.0.302) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/99.0.4844.88 HuaweiBrowser/13.0.6.301 Mobile Safari/537.36"
)

XIAOMI = (
    "Mozilla/5.0 (Linux; U; Android 12; en-us; 2201116PG Build/SKQ1) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.5.0-gn"
)

HTTPX = "python-httpx/0.27.2"
CFNETWORK = "MockStream/1 CFNetwork/1494.0.7 Darwin/23.4.0"
NOTHING = Device(name="Unknown device", type="unknown", browser="Unknown", os=None, key="", names_software=False)
UNSEEN = "\x00\n\r\t\x1b\x7f\x85\u200b\u2028\u2029\u202e\u2066\ufeff\ud800\udfff"


def assert_presentable(device: Device) -> None:
    assert device.type in ("web", "mobile", "tablet", "bot", "unknown")
    assert all((device.name, device.browser))
    assert device.os != ""
    for text in astuple(device):
        if isinstance(text, str):
            assert text.isprintable()
            assert text == text.strip()
            assert len(text) <= MAX_TEXT_LENGTH
