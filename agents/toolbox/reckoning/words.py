"""The words and symbols that a calculation may hold besides numbers and signs."""

from typing import Final

FUNCTIONS: Final = frozenset(
    {
        "abs", "round", "floor", "ceil", "trunc", "min", "max", "sum", "mean", "avg", "average",
        "median", "sqrt", "cbrt", "root", "pow", "exp", "log", "ln", "log2", "log10", "sin", "cos",
        "tan", "asin", "acos", "atan", "degrees", "radians", "factorial", "comb", "perm", "gcd",
        "lcm", "mod",
    }
)  # fmt: skip
BARE: Final = frozenset({"sqrt", "cbrt", "ln", "log2", "log10", "sin", "cos", "tan"})
"""Functions that need no brackets: sqrt 16."""

CONSTANTS: Final = {
    "pi": "3.1415926535897932384626433832795028841971693993751",
    "π": "3.1415926535897932384626433832795028841971693993751",
    "e": "2.7182818284590452353602874713526624977572470936999",
}

WORDS: Final = {
    "plus": "+", "minus": "-", "times": "*", "of": "*", "x": "*", "per": "/", "mod": "%",
    "percent": "%", "加": "+", "加上": "+", "减": "-", "减去": "-", "乘": "*", "乘以": "*",
    "的": "*", "除以": "/", "每": "/", "根号": "√",
}  # fmt: skip
PHRASES: Final = {
    "to the power of": "^", "squared": "^2", "cubed": "^3", "the square root of": "sqrt",
    "square root of": "sqrt", "divided by": "/", "multiplied by": "*",
}  # fmt: skip
CONVERT: Final = frozenset(
    {
        "to", "in", "as", "into", "换算成", "换算为", "转换成", "转换为", "转成", "化成",
        "等于多少", "是多少", "合多少", "合",
    }
)  # fmt: skip
MULTIPLIERS: Final = {
    "dozen": 12, "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9,
    "trillion": 10**12, "百": 100, "千": 1_000, "万": 10**4, "十万": 10**5, "百万": 10**6,
    "千万": 10**7, "亿": 10**8, "十亿": 10**9, "百亿": 10**10, "千亿": 10**11, "万亿": 10**12,
}  # fmt: skip

CURRENCIES: Final = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "CNY"}
MONEY: Final = ("USD", "EUR", "GBP", "CNY", "JPY", "HKD", "TWD", "KRW", "INR", "CHF", "CAD", "AUD")

_WRITTEN: Final = """
# length, area, volume
nanometer: nm 纳米
micrometer: um µm μm 微米
millimeter: mm 毫米
centimeter: cm 厘米 公分
decimeter: dm 分米
meter: m 米 公尺
kilometer: km 千米 公里
inch: in 英寸
foot: ft 英尺
yard: yd 码
mile: mi 英里
nautical_mile: nmi 海里
hectare: ha 公顷
acre: ac 英亩
mu: 亩
li: 里
zhang: 丈
chi: 尺
cun: 寸
millimeter**2: 平方毫米
centimeter**2: 平方厘米
decimeter**2: 平方分米
meter**2: sqm 平方米 平米 平方
kilometer**2: 平方千米 平方公里
foot**2: sqft 平方英尺
centimeter**3: cc 立方厘米
decimeter**3: 立方分米
meter**3: 立方米
liter: l L 升 公升
milliliter: ml mL 毫升
centiliter: cl cL
deciliter: dl dL
gallon: gal 加仑
quart: qt
pint: pt
cup: 杯
fluid_ounce: floz
# mass
microgram: ug µg μg mcg 微克
milligram: mg 毫克
gram: g 克
kilogram: kg 千克 公斤
metric_ton: t 吨 公吨
pound: lb lbs 磅
ounce: oz 盎司
jin: 斤 市斤
liang: 两
# time
nanosecond: ns 纳秒
microsecond: us µs μs 微秒
millisecond: ms 毫秒
second: s sec secs 秒 秒钟
minute: min mins 分钟 分
hour: h hr hrs 小时 个小时 时 钟头
day: d 天 日
week: wk wks 周 星期 个星期 礼拜
month: mo 个月 月
year: y yr yrs 年
# speed
kilometer/hour: kph kmh kmph 千米每小时 公里每小时
mile/hour: mph
mile/gallon: mpg
meter/second: mps 米每秒
knot: kn kt 节
# heat
degree_Celsius: °C °c C 摄氏度 度
degree_Fahrenheit: °F °f F 华氏度
kelvin: K 开尔文
# force, pressure, energy, power
newton: N 牛 牛顿
kilonewton: kN 千牛
pascal: Pa 帕 帕斯卡
hectopascal: hPa 百帕
kilopascal: kPa 千帕
megapascal: MPa 兆帕
bar: bar 巴
millibar: mbar 毫巴
atmosphere: atm
pound_force_per_square_inch: psi
millimeter_Hg: mmHg
joule: J 焦 焦耳
kilojoule: kJ 千焦
megajoule: MJ 兆焦
calorie: cal 卡 卡路里
kilocalorie: kcal 千卡 大卡
watt_hour: Wh 瓦时
kilowatt_hour: kWh 千瓦时
megawatt_hour: MWh 兆瓦时
electron_volt: eV
british_thermal_unit: BTU
milliwatt: mW 毫瓦
watt: W 瓦 瓦特
kilowatt: kW 千瓦
megawatt: MW 兆瓦
gigawatt: GW
metric_horsepower: 马力
horsepower: hp
# electricity, waves, matter
milliampere: mA 毫安
ampere: A 安 安培
milliampere*hour: mAh 毫安时
ampere*hour: Ah
millivolt: mV 毫伏
volt: V 伏 伏特
kilovolt: kV 千伏
ohm: Ω ohm 欧 欧姆
kiloohm: kΩ kohm 千欧
hertz: Hz 赫兹
kilohertz: kHz 千赫
megahertz: MHz 兆赫
gigahertz: GHz 吉赫
mole: mol 摩尔
lumen: lm
lux: lx
# angles
degree: ° deg
radian: rad 弧度
# data
bit: bit bits 比特
kilobit: kbit kb
megabit: Mbit Mb
gigabit: Gbit Gb
byte: B 字节
kilobyte: kB KB
megabyte: MB 兆字节
gigabyte: GB
terabyte: TB
petabyte: PB
kibibyte: KiB
mebibyte: MiB
gibibyte: GiB
tebibyte: TiB
kilobit/second: kbps
megabit/second: Mbps
gigabit/second: Gbps
# money
USD: USD dollar dollars 美元 美金
USD_cent: cent cents 美分
EUR: EUR euro euros 欧元
GBP: GBP 英镑
CNY: CNY RMB yuan 元 人民币 块 块钱 元人民币
CNY_jiao: 角 毛
JPY: JPY yen 日元 日圆
HKD: HKD 港元 港币
TWD: TWD 台币 新台币
KRW: KRW won 韩元
INR: INR rupee rupees 卢比
CHF: CHF 瑞士法郎
CAD: CAD 加元
AUD: AUD 澳元
"""
UNITS: Final = {
    word: name
    for name, colon, words in (line.partition(":") for line in _WRITTEN.splitlines())
    if colon
    for word in (*words.split(), *([name] if name.isidentifier() else []))
}
"""The unit, as pint calls it, of each symbol and Chinese word."""

DEFINED: Final = (
    "jin = 0.5 kilogram = 斤", "liang = 0.05 kilogram = 两", "mu = 2000 / 3 * meter ** 2 = 亩",
    "li = 500 meter = 里", "zhang = 10 / 3 * meter = 丈", "chi = 1 / 3 * meter = 尺",
    "cun = 1 / 30 * meter = 寸",
    *(f"{code} = [{code}] = {code}" for code in MONEY),
    "USD_cent = 0.01 USD", "CNY_jiao = 0.1 CNY",
)  # fmt: skip
"""What pint does not know."""

HAN: Final = sorted(
    (
        word
        for words in (UNITS, WORDS, CONVERT, MULTIPLIERS)
        for word in words
        if "\u3400" <= word[0] <= "\u9fff"
    ),
    key=lambda word: (-len(word), word),
)
"""Chinese words, the longest first: they stand without spaces between them."""
